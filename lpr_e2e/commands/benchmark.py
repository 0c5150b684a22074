"""How fast reading and training are, measured in one run, as ratios.

    lpr-e2e benchmark FOLDER                       all forms of the model on these photographs
    lpr-e2e benchmark FOLDER --rapidocr PYTHON     beside RapidOCR, which that interpreter can import
    lpr-e2e benchmark FOLDER --floor               where the time of a reading goes, beside what nobody can do without
    lpr-e2e benchmark FOLDER --data DIR            also training, against a constant batch
    lpr-e2e benchmark --other-format 0.4           how well plates of another format are learned, nothing else

Every process gets two threads. Times are medians; a machine that does other things at the same time disturbs all of
them, so compare within one run. RapidOCR is installed into an environment of its own:

    python3 -m venv rapid && rapid/bin/pip install rapidocr onnxruntime
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from lpr_e2e.commands.arguments import above_zero, at_least_one
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add = parser.add_argument
    add("photographs", nargs="?", metavar="FOLDER", help="photographs to read")
    add(
        "--keras",
        metavar="MODEL",
        help="a .keras file, or a name that `models` lists; default: tunisia, if its file is there",
    )
    add("--exported", type=Path, metavar="DIR", help="its exported forms; default: those of tunisia")
    add("--rapidocr", metavar="PYTHON", help="an interpreter that has RapidOCR")
    add("--floor", action="store_true", help="also measure decoding and the two networks: the least a reading takes")
    add("--data", type=Path, metavar="DIR", help="also measure training on this data")
    add("--exclude", type=Path, metavar="CSV", help="with --data, as for training")
    add(
        "--other-format",
        type=above_zero,
        metavar="EFFORT",
        help="train on drawn plates of another format, with this share of the preset's steps, in runs/other-format",
    )
    add("--single", type=at_least_one, default=60, metavar="N", help="photographs read one by one, default 60")
    add("--many", type=at_least_one, default=2000, metavar="N", help="photographs read as a folder, default 2000")
    add("--runs", type=at_least_one, default=3, metavar="N", help="cold starts, default 3")
    add("--json", type=Path, metavar="FILE", help="also write the measurements as JSON")


def run(options: argparse.Namespace) -> int:
    """Measure what is asked for, and print it."""
    if options.other_format is None and not options.photographs:
        raise UserError("expected a FOLDER of photographs, or --other-format EFFORT")

    from lpr_e2e.common.files import refuse_inputs, require_places, write_json
    from lpr_e2e.experiments.benchmark import other_format, table, training

    if options.json:
        require_places([options.json])
        refuse_inputs([options.json], _inputs(options))
    found: dict = {}
    if options.other_format is not None:
        found["other format"] = other_format(options.other_format, Path("runs") / "other-format")
    if options.photographs:
        found |= _reading(options)
    if options.data:
        found["training"] = training(options.data, options.exclude, rounds=5, steps=20)
    say(table(found))
    if options.json:
        write_json(options.json, found)
    return 0


def _inputs(options: argparse.Namespace) -> list[Path]:
    """All that is read."""
    from lpr_e2e.common.photographs import find_photographs
    from lpr_e2e.prediction.models import DEFAULT_NAME, find, shipped

    ours = shipped()[DEFAULT_NAME]
    given = [path for path in (options.exported or ours.exported, options.data, options.exclude) if path]
    given.append(find(options.keras, keras=True) if options.keras else ours.keras_file)
    if options.photographs:  # A folder with all that is in it; or a pattern.
        given += [Path(options.photographs), *(path for _, path in find_photographs([options.photographs]))]
    return given


def _reading(options: argparse.Namespace) -> dict:
    """Times of RapidOCR, if it is to be measured, and of all forms of the model that are there."""
    from lpr_e2e.common.photographs import find_photographs
    from lpr_e2e.experiments.reading_speed import exported_forms, floors, rapidocr, reading, spread
    from lpr_e2e.prediction.models import DEFAULT_NAME, find, shipped

    ours = shipped()[DEFAULT_NAME]
    keras = find(options.keras, keras=True) if options.keras else ours.keras_file
    named = find_photographs([options.photographs])
    photographs = spread([Path(path).resolve() for _, path in named], options.single)
    found = {}
    if options.rapidocr:
        # Absolute, because measured processes run elsewhere; a link to an interpreter is left alone.
        peer = os.path.abspath(shutil.which(options.rapidocr) or options.rapidocr)
        found["RapidOCR"] = rapidocr(peer, photographs, options.runs)
    with tempfile.TemporaryDirectory() as temporary:
        models = {"Keras": keras.resolve()} if keras.exists() else {}
        models |= exported_forms(options.exported or ours.exported, Path(temporary))
        found |= reading(models, photographs, options.many, options.runs)
        return found | ({"floor": floors(models, photographs)} if options.floor else {})
