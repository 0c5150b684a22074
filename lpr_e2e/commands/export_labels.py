"""Write labels as COCO files, which other programs read.

    lpr-e2e export-labels DIR labels.json

DIR is a data folder, or a folder or file with labels in any form that `import` takes. Texts are in `attributes.text`; a
photograph without a plate is an image without an annotation. Photographs that are held out come into
labels.validation.json, crops into labels.crops.csv. Nothing is overwritten.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lpr_e2e.commands.arguments import add_label_options, label_options
from lpr_e2e.common.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("source", type=Path, metavar="DIR", help="folder with labels and pictures, or a label file")
    parser.add_argument("output", type=Path, metavar="OUT.json", help="the file to write")
    add_label_options(parser, training=False, form=True)


def run(options: argparse.Namespace) -> int:
    """Write the files; returns the exit code 0.

    Raises:
        UserError: the labels cannot be used, or a file is there already.
        OSError: a file cannot be read or written.
    """
    from lpr_e2e.data.exporting import export_labels
    from lpr_e2e.data.forms import read_labels
    from lpr_e2e.data.resolving import resolve

    said = label_options(options)
    say(export_labels(options.output, resolve(read_labels(options.source, said), said)).summary())
    return 0
