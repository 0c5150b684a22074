"""`python train.py`: the command `train` of `lpr_e2e`, see lpr_e2e/commands/train.py."""

from collections.abc import Sequence

from lpr_e2e.cli import script
from lpr_e2e.common.interrupts import as_process


def main(arguments: Sequence[str] | None = None) -> int:
    """Train. Returns the exit code: 0 done, 1 faults found by --check, 2 wrong input, 130 interrupted."""
    return script("train", arguments)


if __name__ == "__main__":
    as_process(main)
