"""How a model copes with what a validation set lacks: turned, blurred, distant photographs, plates seen in part, none.

    lpr-e2e robustness DIR                       of the model that comes with the project
    lpr-e2e robustness DIR --model best.keras --output figures.json
    lpr-e2e robustness DIR --labels complete     parts of photographs without a labelled plate show none

Reads the held-out photographs of a data folder as they are, turned by 90, 180 and 270 degrees, blurred by motion, and
as small parts of pictures of 3840x2160 pixels; those that are read rightly also with the plate cut off, cut out,
covered, mirrored, out of focus and too small; windows of photographs that miss the plate, where all plates are
labelled; and the held-out crops, and prints one table. The readings are those of `lpr-e2e predict`; nothing is trained
or chosen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lpr_e2e.commands.arguments import (
    add_data_options,
    add_model,
    add_threads,
    at_least_zero,
    data_source,
    label_inputs,
)
from lpr_e2e.common.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("data", type=Path, metavar="DIR", help="data folder, as for training")
    add_model(parser)
    parser.add_argument(
        "--windows", type=at_least_zero, default=200, metavar="N", help="windows without a plate, default 200"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures to this JSON file")
    add_threads(parser)
    add_data_options(parser)


def run(options: argparse.Namespace) -> int:
    """Measure, and print the table."""
    from lpr_e2e.common.files import refuse_inputs, require_places, write_json
    from lpr_e2e.data.dataset import load
    from lpr_e2e.experiments.robustness import measure
    from lpr_e2e.prediction.models import find
    from lpr_e2e.prediction.reader import PlateReader

    if options.output:
        require_places([options.output])
        refuse_inputs([options.output], [options.data, find(options.model), *label_inputs(options)])
    dataset = load(data_source(options, [options.data], None)).dataset
    reader = PlateReader.load(options.model)
    held = (dataset.validation_photographs, dataset.photographs, dataset.validation_crops)
    robustness = measure(reader, *held, options.windows)
    say(robustness.table())
    if options.windows and not robustness.windows:
        say("no window is sure to show no plate: further plates may be unlabelled (--labels complete: there are none)")
    if options.output:
        write_json(options.output, robustness.as_dict())
    return 0
