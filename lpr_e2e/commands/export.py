"""Write a trained model in the forms that other runtimes take, and check each against Keras.

    lpr-e2e export                                      the model that comes with the project
    lpr-e2e export runs/NAME/best.keras --output DIR
    lpr-e2e export --photographs FOLDER                 also compare the readings of these photographs

Into DIR go

* `find.onnx`, `read.onnx` and `weights.bin`: the two networks for ONNX Runtime, with their common weights once;
* `find_int8.onnx`, `read_int8.onnx` and `weights_int8.bin`: the same in 8 bits, which `lpr-e2e predict` then takes;
* `plates.tflite`: the same as two signatures, `find` and `read`, for LiteRT; `plates_int8.tflite`: in 8 bits;
* `saved_model/`: everything in one for TensorFlow Serving: bytes of a photograph in, boxes and texts out;
* `model.json`: characters, sizes and checksums, which all but the last need.

`lpr-e2e predict --model DIR` reads with the first form for which a runtime is installed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lpr_e2e.commands.arguments import add_threads
from lpr_e2e.common.backend import import_keras, require_backend
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import say

# Those of `lpr_e2e.export.forms`, which would have the help wait for OpenCV; a test compares them.
FORMS = ("onnx", "tflite", "int8", "saved_model")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add = parser.add_argument
    add("model", nargs="?", metavar="MODEL", help="a .keras file, or a name that `models` lists; default: tunisia")
    add("--output", type=Path, metavar="DIR", help="default: exports/NAME of the model")
    add(
        "--photographs",
        metavar="FOLDER",
        help="also write the 8-bit forms, with ranges measured on these, and compare readings",
    )
    add("--forms", nargs="+", choices=FORMS, default=list(FORMS), help="default: all of them")
    add(
        "--truth",
        type=Path,
        metavar="CSV",
        help="known texts of some of them, img_id,text: compares these, measures ranges on the others",
    )
    add_threads(parser)


def run(options: argparse.Namespace) -> int:
    """Export and compare."""
    from lpr_e2e.common.photographs import find_photographs
    from lpr_e2e.evaluation.truth import read_truth
    from lpr_e2e.prediction.models import find

    if options.truth and not options.photographs:
        raise UserError("--truth needs --photographs")
    path = find(options.model, keras=True)
    if not path.is_file():
        raise UserError(f"{path}: is a folder; an export takes a .keras file")
    photographs = [path for _, path in find_photographs([options.photographs])] if options.photographs else []
    known_plates = {one.img_id: one.plates for one in read_truth(options.truth)} if options.truth else {}
    truths = {img_id: {plate.text for plate in plates if plate.text} for img_id, plates in known_plates.items()}
    truths = {img_id: texts for img_id, texts in truths.items() if texts}
    require_backend(("tensorflow",), "an export")
    import_keras()
    from lpr_e2e.export.comparison import compare, table
    from lpr_e2e.export.exporting import export
    from lpr_e2e.model.plate_model import load

    model = load(path)
    folder = options.output or Path("exports") / path.stem
    # What is known is for comparing: ranges measured on it would flatter the 8-bit forms.
    known = [one for one in photographs if one.name in truths]
    export(model, folder, [one for one in photographs if one.name not in truths] or photographs, options.forms)
    say(table(compare(model, folder, known or photographs, truths), folder))
    return 0
