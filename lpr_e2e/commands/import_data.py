"""Make a data folder for training out of labels in another form.

    lpr-e2e import table plates.csv DIR                        one CSV, a row a plate: photograph, box, text
    lpr-e2e import table labels.csv DIR --boxes rel_xyxy       its boxes are shares of width and height
    lpr-e2e import coco train.json DIR --validation val.json   COCO files, texts in attributes.text

A photograph may have any number of plates, with or without a text. Boxes are of the photograph as it is seen, after
EXIF rotation. Pictures are copied, nothing is overwritten; rows that cannot be used are named in DIR/problems.csv.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lpr_e2e.common.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    from lpr_e2e.data.labels import BOX_FORMS
    from lpr_e2e.data.labels_coco import TEXT_KEY

    forms = parser.add_subparsers(dest="form", metavar="FORM", required=True, help="form of the labels")
    table = forms.add_parser("table", help="one CSV, a row a plate")
    _add_common(table)
    table.add_argument("--boxes", choices=BOX_FORMS, help="form of the boxes, else by the columns' names, in pixels")
    table.add_argument(
        "--box-columns", nargs=4, metavar="COLUMN", help="the columns of the box, in the order of --boxes"
    )
    table.add_argument("--picture-column", metavar="COLUMN", help="the column with the photograph's name")
    table.add_argument("--text-column", metavar="COLUMN", help="the column with the plate's text")
    coco = forms.add_parser("coco", help="COCO's JSON")
    _add_common(coco)
    coco.add_argument(
        "--text-key", metavar="KEY", default=TEXT_KEY, help=f"where an annotation has the text, default {TEXT_KEY}"
    )
    coco.add_argument("--category", metavar="NAME", help="the plates' category, if there are several")


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Arguments of every form."""
    parser.add_argument("source", type=Path, metavar="SOURCE", help="the label file")
    parser.add_argument("folder", type=Path, metavar="DIR", help="new or empty folder for the data")
    parser.add_argument("--validation", type=Path, metavar="SOURCE", help="label file of photographs to hold out")
    parser.add_argument("--crops", type=Path, metavar="CSV", help="further crops of plates: name and text of each")
    parser.add_argument(
        "--pictures",
        type=Path,
        nargs="+",
        metavar="FOLDER",
        default=[],
        help="where the pictures are, if not beside SOURCE",
    )


def run(options: argparse.Namespace) -> int:
    """Import the labels; returns the exit code 0.

    Raises:
        UserError: the labels or the folder cannot be used.
        OSError: a file cannot be read or written.
    """
    from lpr_e2e.common.files import refuse_filled
    from lpr_e2e.data.importing import import_labels
    from lpr_e2e.data.labels import Labels
    from lpr_e2e.data.labels_coco import read_coco
    from lpr_e2e.data.labels_table import read_crop_table, read_label_table

    refuse_filled(options.folder)

    def labels(path: Path) -> Labels:
        if options.form == "coco":
            return read_coco(path, options.text_key, options.category)
        return read_label_table(path, options.boxes, options.picture_column, options.box_columns, options.text_column)

    imported = import_labels(
        options.folder,
        labels(options.source),
        labels(options.validation) if options.validation else None,
        read_crop_table(options.crops) if options.crops else None,
        options.pictures,
    )
    say(imported.summary())
    say(f"what is in it: {options.spelled('check')} {options.folder}")
    return 0
