"""How many photographs of a country it takes: trainings on few of a data set's, judged by what the set holds out.

    lpr-e2e curve DIR                                   25, 50, 100 and 200 photographs, twice, with the preset quick
    lpr-e2e curve DIR --photographs 25 50 --draws 1     fewer of them
    lpr-e2e curve DIR --order chance useful             also in the order in which `lpr-e2e loop` proposes them
    lpr-e2e curve DIR --weights other.keras             from another start than the base weights

Each training gets a data folder of its first photographs alone, without crops, and holds out some of these, as any
training does; then it reads all photographs that DIR holds out. Prints a Markdown table and writes a plot, curve.png.
What is trained already is not trained again, and a stopped training goes on: the same command, the same --output.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lpr_e2e.commands.arguments import add_data_options, add_threads, at_least_one, data_source, label_inputs
from lpr_e2e.commands.starting import add_start_options, settings_of, start_of
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import say

if TYPE_CHECKING:
    from lpr_e2e.data.samples import Photograph

PHOTOGRAPHS, DRAWS, PRESET = (25, 50, 100, 200), 2, "quick"
_PLOT = "curve.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add = parser.add_argument
    add("data", type=Path, metavar="DIR", help="data folder, or labels in any form, as for training")
    add("--photographs", type=at_least_one, nargs="+", default=PHOTOGRAPHS, metavar="N", help="default: 25 50 100 200")
    add("--draws", type=at_least_one, default=DRAWS, metavar="N", help="how often, default: %(default)s")
    add(
        "--order",
        nargs="+",
        choices=("chance", "useful"),
        default=["chance"],
        help="drawn by chance, or what the model before learns most from, first; default: chance",
    )
    add("--output", type=Path, default=Path("runs/curve"), metavar="DIR", help="default: %(default)s")
    add_start_options(parser, parser)
    add_threads(parser)
    add_data_options(parser)


def run(options: argparse.Namespace) -> int:
    """Train what is not trained yet, print the table and draw the plot.

    Raises:
        UserError: the data, the folder or the options cannot be used, or a training ends early.
        OSError: something cannot be read or written.
    """
    from lpr_e2e.common.files import require_places
    from lpr_e2e.data.dataset import load

    options.preset = options.preset or PRESET
    settings, start = settings_of(options), start_of(options)
    if start.weights is None:
        raise UserError("--weights none: so few photographs teach no model to read; name weights to start from")
    require_places([], made=options.output)
    for place in (options.data, *label_inputs(options)):
        if not place.exists():
            raise UserError(f"{place}: no such file or folder")
    dataset = load(data_source(options, [options.data], settings.seed)).dataset

    from lpr_e2e.experiments.few_photographs import Curve, plot, table

    curve = Curve(dataset, options.data, start.weights, _proposed, _of_trainings(options), options.output)
    points = curve.run(options.photographs, options.draws, [*dict.fromkeys(options.order)])
    plot(points, options.output / _PLOT)
    say(f"\n{table(points)}\n\nplot: {options.output / _PLOT}")
    return 0


def _proposed(model: Path, photographs: Sequence[Photograph]) -> list[str]:
    """The img_ids of photographs in the order in which a loop with this model proposes them."""
    from lpr_e2e.annotation.reading_ahead import proposed
    from lpr_e2e.prediction.reader import PlateReader

    return proposed(PlateReader.load(model).read_files((one.img_id, one.path) for one in photographs))


def _of_trainings(options: argparse.Namespace) -> list[str]:
    """The arguments of every training."""
    given = ["--preset", options.preset]
    for name, values in (("set", options.set or ()), ("font", options.font or ())):
        given += [part for value in values for part in (f"--{name}", value)]
    if options.characters is not None:
        given += ["--characters", options.characters]
    return [*given, *(["--threads", str(options.threads)] if options.threads else [])]
