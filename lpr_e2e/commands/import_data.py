"""Make a data folder for training out of labels in another form.

    lpr-e2e import auto SOURCE DIR                    whatever is in the folder or file SOURCE, by its content
    lpr-e2e import coco train.json DIR --validation val.json
    lpr-e2e import table labels.csv DIR --boxes rel_xyxy

`train` and `check` take all of these forms as they lie; this is for a copy that can be looked at, mended and kept.
Photographs with all of their plates become DIR/photographs.csv, plates that are pictures of their own DIR/crops.csv,
and what is held out DIR/validation.csv. Boxes are of the photograph as it is seen, after EXIF rotation. Pictures are
copied, nothing is overwritten; rows that cannot be used or were changed are named in DIR/problems.csv.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lpr_e2e.commands.arguments import add_label_options, label_options
from lpr_e2e.common.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    from lpr_e2e.data.forms import FORMS

    parser.add_argument("form", metavar="FORM", choices=("auto", *FORMS), help=f"auto, {', '.join(FORMS)}")
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder with labels and pictures, or a label file")
    parser.add_argument("folder", type=Path, metavar="DIR", help="new or empty folder for the data")
    add_label_options(parser, training=False)


def run(options: argparse.Namespace) -> int:
    """Import the labels; returns the exit code 0.

    Raises:
        UserError: the labels or the folder cannot be used.
        OSError: a file cannot be read or written.
    """
    from lpr_e2e.common.files import refuse_filled
    from lpr_e2e.data.forms import read_labels
    from lpr_e2e.data.importing import import_labels
    from lpr_e2e.data.resolving import resolve

    refuse_filled(options.folder)
    said = label_options(options)
    imported = import_labels(options.folder, resolve(read_labels(options.source, said), said), options.source)
    say(imported.summary())
    say(f"what is in it: {options.spelled('check')} {options.folder}")
    return 0
