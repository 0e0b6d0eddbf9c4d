"""The command line (floor 6): parse, call, write. `resnest-bench --help` lists it."""

from resnest_bench.cli.app import main

__all__ = ["main"]
