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
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import say

FORMS = ("onnx", "tflite", "int8", "saved_model")  # Those of `lpr_e2e.export.forms`, which would import numpy.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="a .keras file, or a name of `models`; default: tunisia"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: exports/NAME of the model")
    parser.add_argument(
        "--photographs",
        metavar="FOLDER",
        help="also write the 8-bit forms, with ranges measured on these, and compare readings",
    )
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS), help="default: all of them")
    parser.add_argument(
        "--truth",
        type=Path,
        metavar="CSV",
        help="known texts of some of them, img_id,text: compares these, measures ranges on the others",
    )
    add_threads(parser)


def run(options: argparse.Namespace) -> int:
    """Export and compare; returns 0.

    Raises:
        UserError, OSError: the call, a file or the environment is not what it should be.
        ImportError: a package that the forms need is missing.
    """
    if options.truth and not options.photographs:
        raise UserError("--truth needs --photographs")

    from lpr_e2e.common.backend import require_backend
    from lpr_e2e.common.photographs import find_photographs
    from lpr_e2e.evaluation.scoring import read_truth
    from lpr_e2e.prediction.models import find

    photographs = [path for _, path in find_photographs([options.photographs])] if options.photographs else []
    truths = {one.img_id: one.text for one in read_truth(options.truth) if one.text} if options.truth else {}
    # Before TensorFlow is imported, which takes seconds.
    file = find(options.model, keras=True)
    require_backend(("tensorflow",), "exporting")

    from lpr_e2e.export.comparison import compare, table
    from lpr_e2e.export.exporting import export
    from lpr_e2e.model.plate_model import load

    model = load(file)
    folder = options.output or Path("exports") / file.stem
    # What is known is for comparing: ranges measured on it would flatter the 8-bit forms.
    known = [path for path in photographs if path.name in truths]
    export(model, folder, [path for path in photographs if path.name not in truths] or photographs, options.forms)
    say(table(compare(model, folder, known or photographs, truths), folder))
    return 0
