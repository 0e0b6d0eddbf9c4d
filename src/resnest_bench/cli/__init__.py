"""The command line (floor 7): parse, call, write. `resnest-bench --help` lists it."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line, as a fork of a warm process if the run has one (docs/decisions/020)."""
    from resnest_bench.cli.warm_client import SERVE_OPTION, run_as_fork

    if sys.argv[1:2] == [SERVE_OPTION]:
        from resnest_bench.cli.warm_parent import serve

        # It returns in each fork, which goes on as the job.
        serve(*sys.argv[2:])
    else:
        code = run_as_fork()
        if code is not None:
            sys.exit(code)
    from resnest_bench.cli.app import main as run_command

    run_command()
