"""`python train.py`: the command `train` of `lpr_e2e`, see lpr_e2e/commands/train.py."""

import sys
from collections.abc import Sequence

from lpr_e2e.cli import script


def main(arguments: Sequence[str] | None = None) -> int:
    """Train. Returns the exit code: 0 done, 1 faults found by --check, 2 wrong input, 130 interrupted."""
    return script("train", arguments)


if __name__ == "__main__":
    sys.exit(main())
