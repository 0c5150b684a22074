"""`python -m lpr_e2e`, the same as `lpr-e2e`; `python lpr_e2e` where the folder is named instead of the package."""

import sys
from pathlib import Path

if not __package__:  # What Python then searches is this folder, and not the one that the package is in.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lpr_e2e.cli import MODULE, main  # noqa: E402
from lpr_e2e.common.interrupts import as_process  # noqa: E402

if __name__ == "__main__":
    as_process(lambda: main(spelling=MODULE))
