"""`python -m resnest_bench.cli.run_snakemake`: Snakemake with exit code 130 after Ctrl-C.

Snakemake itself exits with 1 then, the same as after a failed job.
"""

import sys
from collections.abc import Callable, Sequence

from resnest_bench.live.interrupts import INTERRUPTED, watch_interrupts

STOPPED_BY_CTRL_C = 130


def run_snakemake(arguments: Sequence[str], snakemake: Callable[[Sequence[str]], object]) -> int:
    """Run `snakemake`, a main function that may raise SystemExit, and return the exit code."""
    watch_interrupts()
    code: object = 0
    try:
        snakemake(arguments)
    except KeyboardInterrupt:
        # Ctrl-C came before the first job or after the last one.
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
