"""`python predict.py FOLDER`: the command `predict` of `lpr_e2e`, see lpr_e2e/commands/predict.py."""

from collections.abc import Sequence

from lpr_e2e.cli import script
from lpr_e2e.common.interrupts import as_process


def main(arguments: Sequence[str] | None = None) -> int:
    """Read photographs. Returns the exit code: 0, 1 if results cannot be written, 2 wrong call, 130 interrupted."""
    return script("predict", arguments)


if __name__ == "__main__":
    as_process(main)
