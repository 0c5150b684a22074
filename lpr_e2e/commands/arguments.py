"""Arguments that several commands take."""

from __future__ import annotations

import argparse


def at_least_one(text: str) -> int:
    """A whole number of at least 1, as an argument's type."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected at least 1")
    return number


def add_model(parser: argparse.ArgumentParser, default: str = "the one that comes with the project") -> None:
    """`--model`: None, or what `lpr_e2e.prediction.models.find` takes."""
    parser.add_argument(
        "--model", metavar="MODEL", help=f"a .keras file, an exported folder, or a name of `models`; default: {default}"
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """`--threads`: None, or what `lpr_e2e.common.cores.use_threads` takes."""
    parser.add_argument(
        "--threads", type=at_least_one, metavar="N", help="threads to use; default: the cores that this process may use"
    )
