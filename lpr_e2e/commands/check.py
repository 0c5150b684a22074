"""What is in a data set and what is wrong with it, before anyone trains on it: as text, and as a page with pictures.

    lpr-e2e check DIR                    print what was found; write it with pictures to check.html
    lpr-e2e check DIR --test FOLDER      also look for crops cut out of the photographs of FOLDER
    lpr-e2e check DIR --fix DIR2         also write a cleaned copy

It takes the options of `train` that decide what is made of the data, and says what training will do with them. Nothing
in DIR is changed. The exit code is 0 for no faults, 1 for faults, which a training names, skips or mends, and 2 for
data that cannot be used. After 0, a training with the same options does not refuse the data.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lpr_e2e.commands.arguments import add_data_options, data_source
from lpr_e2e.commands.starting import add_start_options, letters_lacking, settings_of, stages_set, start_of
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import say

DEFAULT_PAGE = Path("check.html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("data", type=Path, metavar="DIR", help="folder with labels and pictures, or a label file")
    parser.add_argument("--test", type=Path, metavar="FOLDER", help="photographs in which to look for the crops")
    parser.add_argument("--output", type=Path, metavar="HTML", default=DEFAULT_PAGE, help=f"default {DEFAULT_PAGE}")
    parser.add_argument("--problems", type=Path, metavar="CSV", help="also write the faults as a table, for `label`")
    parser.add_argument("--fix", type=Path, metavar="DIR2", help="new folder for a cleaned copy of the data")
    add_start_options(parser, parser)
    add_data_options(parser)


def run(options: argparse.Namespace) -> int:
    """Check the data.

    Returns:
        the exit code: 0 no faults, 1 faults.

    Raises:
        UserError: the data cannot be used, or nothing can be written where it was asked for.
        OSError: a file cannot be read or written.
    """
    return check(options, options.output, options.test, options.problems)


def check(
    options: argparse.Namespace, output: Path = DEFAULT_PAGE, test: Path | None = None, table: Path | None = None
) -> int:
    """As `run`, with the options that `train` has, too."""
    from lpr_e2e.common.files import require_places, whole_file
    from lpr_e2e.data.check import check_data
    from lpr_e2e.data.check_page import is_page, write_page
    from lpr_e2e.data.cleaning import refuse_unsafe, write_fixed
    from lpr_e2e.data.problems import COLUMNS
    from lpr_e2e.data.tables import read_table, write_table
    from lpr_e2e.training.outlook import outlook

    # Measuring takes a while: what cannot be done is said before.
    if options.fix is not None:
        refuse_unsafe(options.fix, options.data)
    require_places([file for file in (output, table) if file is not None])
    if output.is_file() and not is_page(output):
        raise UserError(f"{output}: is there already, and no page; expected a new name")
    if table is not None and table.exists() and tuple(read_table(table).columns) != COLUMNS:
        raise UserError(f"{table}: is there already, and no table of faults; expected a new name")
    settings, start = settings_of(options), start_of(options)
    checked = check_data(data_source(options, [options.data], settings.seed), test)
    missing = letters_lacking(options, settings, start, checked.loaded.dataset)
    fixed = None if start.weights is None else stages_set(options)
    checked.findings[:0] = outlook(checked.loaded, settings, start.said, fixed, missing)
    say(checked.summary())
    say("")
    if options.fix is not None:
        say(write_fixed(checked, options.fix))
    if table is not None:
        with whole_file(table) as part:
            write_table(part, COLUMNS, [problem.cells() for problem in checked.faults])
        say(f"faults: {table}")
    write_page(checked, output)
    say(f"page: {output}")
    return 1 if checked.faults else 0
