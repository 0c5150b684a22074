"""Make one model of several trainings that differ in their seed: the mean of their weights, which mostly reads better.

    lpr-e2e train --data DIR --seed 0 --run runs/0
    lpr-e2e train --data DIR --seed 1 --run runs/1
    lpr-e2e train --data DIR --seed 2 --run runs/2
    lpr-e2e average runs/0 runs/1 runs/2 --output NAME.keras

The model is as large and as fast as one of them. It has its own temperature and promise, fitted to the photographs that
all of them hold out, and its figures are written to NAME.json. The trainings must have started from the same weights,
such as the base weights that come along, and hold out the same photographs: name these in validation.csv.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lpr_e2e.commands.arguments import add_threads
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folders of finished trainings")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the model, NAME.keras")
    parser.add_argument(
        "--data", type=Path, nargs="+", metavar="DIR", help="where the data are now, if they were moved"
    )
    add_threads(parser)


def run(options: argparse.Namespace) -> int:
    """Average the runs, and write the model and its figures.

    Raises:
        UserError: the runs do not go together, or the output is no model, one of them, or beside figures of another.
    """
    from lpr_e2e.common.backend import TRAINING_BACKENDS, import_keras, require_backend
    from lpr_e2e.common.files import refuse_foreign, refuse_inputs, require_places, whole_file, write_json

    output, figures = options.output, options.output.with_suffix(".json")
    if output.suffix != ".keras":
        raise UserError(f"--output {output}: expected a name that ends in .keras")
    require_places([output, figures], made=output.parent)
    refuse_inputs([output, figures], [*options.runs, *(options.data or [])])
    refuse_foreign(output.parent, [output.name], [figures.name])
    require_backend(TRAINING_BACKENDS, "averaging")
    import_keras()
    from lpr_e2e.training.averaging import average

    model, finished = average(options.runs, options.data)
    output.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(output) as temporary:
        model.save(temporary)
    write_json(figures, finished.values)
    say(f"held-out photographs, photograph in, text out:\n{finished.figures.table()}")
    say(f"\nread photographs with it: {options.spelled('predict')} FOLDER --model {output}")
    return 0
