"""What is in a data set and what is wrong with it, before anyone trains on it: as text, and as a page with pictures.

    lpr-e2e check DIR                    print what was found; write it with pictures to check.html
    lpr-e2e check DIR --test FOLDER      also look for crops cut out of the photographs of FOLDER
    lpr-e2e check DIR --fix DIR2         also write a cleaned copy

Nothing in DIR is changed. The exit code is 0 for no problems, 1 for problems, 2 for data that cannot be used.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import say

DEFAULT_PAGE = Path("check.html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("data", type=Path, metavar="DIR", help="data folder with the CSV files and pictures")
    parser.add_argument("--exclude", type=Path, metavar="CSV", help="img_ids of crops to leave out, as for training")
    parser.add_argument("--test", type=Path, metavar="FOLDER", help="photographs in which to look for the crops")
    parser.add_argument("--output", type=Path, metavar="HTML", default=DEFAULT_PAGE, help=f"default {DEFAULT_PAGE}")
    parser.add_argument("--fix", type=Path, metavar="DIR2", help="new folder for a cleaned copy of the data")


def run(options: argparse.Namespace) -> int:
    """Check the data.

    Returns:
        the exit code: 0 no problems, 1 problems.

    Raises:
        UserError: the data cannot be used, or nothing can be written where it was asked for.
        OSError: a file cannot be read or written.
    """
    from lpr_e2e.data.check import check_data
    from lpr_e2e.data.check_page import write_page
    from lpr_e2e.data.cleaning import refuse_unsafe, write_fixed

    # Measuring takes a while: what cannot be done is said before.
    if options.fix is not None:
        refuse_unsafe(options.fix, options.data)
    if not options.output.parent.is_dir():
        raise UserError(f"{options.output}: there is no folder {options.output.parent}")
    check = check_data(options.data, options.exclude, options.test)
    say(check.summary())
    say("")
    if options.fix is not None:
        say(write_fixed(check, options.fix))
    write_page(check, options.output)
    say(f"page: {options.output}")
    return 1 if check.problems else 0
