"""`python -m resnest_bench.cli.run_snakemake`: Snakemake, but that Ctrl-C ends it with exit code 130.

Snakemake itself says 1 then, which is what it says of a job that failed.
"""

import sys
from collections.abc import Callable, Sequence

from resnest_bench.live.interrupts import INTERRUPTED, watch_interrupts

STOPPED_BY_CTRL_C = 130


def run_snakemake(arguments: Sequence[str], snakemake: Callable[[Sequence[str]], object]) -> int:
    """The exit code of `snakemake`, a main function that ends by SystemExit."""
    watch_interrupts()
    code: object = 0
    try:
        snakemake(arguments)
    except KeyboardInterrupt:
        # Before the first job, or after the last one.
        print("Stopped. The same command continues from there.", file=sys.stderr)
        code = STOPPED_BY_CTRL_C
    except SystemExit as end:
        code = end.code
    if INTERRUPTED.is_set() and code != 0:
        return STOPPED_BY_CTRL_C
    return code if isinstance(code, int) else int(bool(code))


def main() -> None:
    from snakemake.cli import main as snakemake

    sys.exit(run_snakemake(sys.argv[1:], snakemake))


if __name__ == "__main__":
    main()
