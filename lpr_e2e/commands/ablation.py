"""What each part of the training is worth: the same training without it, part by part.

    lpr-e2e ablation DIR --exclude DIR/test_overlap.csv --effort 0.25

Trains once with everything and once without each part, same seed, same steps, and prints a Markdown table of the
figures on the held-out photographs. What concerns stage two only starts from one and the same stage one. Every row is a
run of `lpr-e2e train`, whose command is printed, in a folder of its own below --output: a row that is there already is
not trained again, one that was interrupted is resumed. A whole table takes many hours; --effort scales the steps of
both stages, --only takes some rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lpr_e2e.commands.arguments import above_zero
from lpr_e2e.commands.starting import with_seed
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("data", type=Path, metavar="DIR", help="data folder, as for training")
    parser.add_argument("--exclude", type=Path, metavar="CSV", help="as for training")
    parser.add_argument(
        "--output", type=Path, default=Path("runs/ablation"), metavar="DIR", help="default: %(default)s"
    )
    parser.add_argument("--preset", choices=("standard", "small"), default="standard", help="default: %(default)s")
    parser.add_argument("--effort", type=above_zero, default=1.0, metavar="SHARE", help="scale of the steps, default 1")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")
    parser.add_argument("--only", nargs="+", metavar="PART", help="leave out these parts only; a wrong name lists them")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="as for training, for all rows"
    )


def run(options: argparse.Namespace) -> int:
    """Train what is not there yet, and print the table."""
    from lpr_e2e.data.dataset import listed_to_exclude
    from lpr_e2e.experiments.ablation import APART, EVERYTHING, LEVERS, Ablation, table
    from lpr_e2e.training.settings import PRESETS

    names = [lever.name for lever in (*LEVERS, APART)]
    unknown = [name for name in options.only or [] if name not in names]
    if unknown:
        raise UserError(f"--only {unknown[0]}: expected some of {', '.join(names)}")
    for path in (options.data, options.exclude):
        if path is not None and not path.exists():
            raise UserError(f"{path}: no such file or folder; expected the data and the list that a training takes")
    if options.exclude is not None:
        listed_to_exclude(options.exclude)
    with_seed(PRESETS[options.preset], options.seed)
    try:
        ablation = Ablation(
            options.data, options.exclude, options.output, options.preset, options.effort, options.seed, options.set
        )
    except UserError as error:
        raise UserError(f"--set: {error}") from None
    rows = []
    for lever in (EVERYTHING, *LEVERS, APART):
        if lever is EVERYTHING or not options.only or lever.name in options.only:
            rows.append((lever.what, ablation.figures(lever)))
            say(table(rows[-1:]).splitlines()[-1])
    say(f"\n{table(rows)}")
    return 0
