"""Draw a data set of photographs and crops, so that everything can be tried without real data.

    lpr-e2e draw FOLDER
    lpr-e2e draw FOLDER --like AB12CDE FG34HJK LM56NPR ST78UVW XY90ZAB --cars 2 --two-lines 0.2
    lpr-e2e draw FOLDER --like سطن٧١٢٦ أنع٨١٩ بد٤٣٦٤ --empty 20
    lpr-e2e draw FOLDER --like AB12CDE FG34HJK --hard

It has the layout that training takes, with plates of the 2019 challenge's country or like the texts given. It takes
about half a minute. What it shows is far simpler than real photographs: figures measured on it say nothing about real
ones.

--hard draws 40 pictures that are hard to read instead, of all kinds, with `truth.csv`: to see what statuses mean.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lpr_e2e.commands.arguments import at_least_zero
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import say

# What `lpr_e2e.drawing.scenes.write_demo` takes besides the folder.
_CHOICES = (
    *("photographs", "empty", "crops", "test", "validation", "seed"),
    *("like", "cars", "two_lines", "characters", "fonts"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command: those of `lpr_e2e.drawing.scenes.write_demo`."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to; a new or empty folder")
    for name, what in (
        ("photographs", "photographs with plates, those held out included, default 400"),
        ("empty", "further photographs without a plate, default 0"),
        ("crops", "crops with a text, default 500"),
        ("test", "photographs without labels, default 40"),
        ("validation", "photographs with box and text that are held out, default 60"),
        ("seed", "of everything random, default 0"),
    ):
        parser.add_argument(f"--{name}", type=at_least_zero, metavar="N", default=argparse.SUPPRESS, help=what)
    parser.add_argument(
        "--like", nargs="+", metavar="TEXT", default=argparse.SUPPRESS, help="what the plates are to say"
    )
    parser.add_argument(
        "--cars", type=int, metavar="N", default=argparse.SUPPRESS, help="the most cars on a photograph, 1 to 3"
    )
    parser.add_argument(
        "--characters", metavar="LETTERS", default=argparse.SUPPRESS, help="letters that the texts lack, drawn as well"
    )
    parser.add_argument(
        "--font",
        nargs="+",
        type=Path,
        metavar="FILE",
        dest="fonts",
        default=argparse.SUPPRESS,
        help="font files that come first, before the fonts that come along",
    )
    parser.add_argument(
        "--two-lines", type=float, metavar="SHARE", default=argparse.SUPPRESS, help="share of the plates with two lines"
    )
    parser.add_argument(
        "--hard", action="store_true", help="40 pictures that are hard to read instead; takes --like and --seed"
    )


def run(options: argparse.Namespace) -> int:
    """Draw."""
    chosen = {name: value for name, value in vars(options).items() if name in _CHOICES}
    if options.hard:
        return _draw_hard(options, chosen)
    from lpr_e2e.common.files import whole_folder
    from lpr_e2e.common.vocabulary import require_letters
    from lpr_e2e.drawing.scenes import write_demo

    require_letters(chosen.get("characters", ""))
    with whole_folder(options.folder) as part:
        lacking = write_demo(part, **chosen)
    if lacking:
        say(f"no font on this machine has {''.join(sorted(lacking))}: not drawn; --font names one that has")
    say(f"drawn into {options.folder}; train on it: {options.spelled('train')} --data {options.folder}")
    return 0


def _draw_hard(options: argparse.Namespace, chosen: dict) -> int:
    from lpr_e2e.common.files import whole_folder
    from lpr_e2e.drawing.scenes import EXAMPLE_TEXTS
    from lpr_e2e.experiments.hard_pictures import write_hard_pictures

    others = sorted(set(chosen) - {"like", "seed"})
    if others:
        named = {"fonts": "font", "two_lines": "two-lines"}.get(others[0], others[0])
        raise UserError(f"--hard: expected only --like and --seed beside it, found --{named}")
    with whole_folder(options.folder) as part:
        count = write_hard_pictures(part, **{"like": EXAMPLE_TEXTS, **chosen})
    truth = options.folder / "truth.csv"
    say(
        f"{count} hard pictures drawn into {options.folder}; read them with a model of such plates: "
        f"{options.spelled('predict')} {options.folder} --model MODEL --truth {truth}"
    )
    return 0
