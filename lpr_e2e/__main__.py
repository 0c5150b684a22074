"""`python -m lpr_e2e`, the same as `lpr-e2e`."""

import sys

from lpr_e2e.cli import MODULE, main

if __name__ == "__main__":
    sys.exit(main(spelling=MODULE))
