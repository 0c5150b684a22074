"""Arguments that several commands take."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lpr_e2e.data.dataset import DataSource
    from lpr_e2e.data.labels import LabelOptions

# More threads than any machine has cores; libraries take no number of more than 32 bits.
_MOST_THREADS = 4096


def at_least_one(text: str) -> int:
    """A whole number of at least 1, as an argument's type."""
    return _at_least(1, text)


def at_least_zero(text: str) -> int:
    """A whole number from 0 on, as an argument's type."""
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"{text}: expected at least {least}")
    return number


def above_zero(text: str) -> float:
    """A number above 0, as an argument's type."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: expected a number above 0")
    return number


def add_model(parser: argparse.ArgumentParser, default: str = "the one that comes with the project") -> None:
    """`--model`: None, or what `lpr_e2e.prediction.models.find` takes."""
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help=f"a .keras file, an exported folder, or a name that `models` lists; default: {default}",
    )


def add_precision(parser: argparse.ArgumentParser) -> None:
    """`--precision`: None, or what `lpr_e2e.prediction.reader.PlateReader` takes."""
    parser.add_argument(
        "--precision",
        type=float,
        metavar="SHARE",
        help="share of the readings with status ok that shall be right, such as 0.995; default: the model's",
    )


def add_redact(parser: argparse.ArgumentParser, what: str) -> None:
    """`--redact`; its values are the names in `lpr_e2e.prediction.redaction.WAYS`, which help must not wait for."""
    parser.add_argument("--redact", choices=("blur", "box", "pixels"), help=what)


def add_threads(parser: argparse.ArgumentParser) -> None:
    """`--threads`: None, or what `lpr_e2e.common.cores.use_threads` takes."""
    parser.add_argument(
        "--threads", type=_threads, metavar="N", help="threads to use; default: the cores that this process may use"
    )


def _threads(text: str) -> int:
    number = at_least_one(text)
    if number > _MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{text}: expected at most {_MOST_THREADS}")
    return number


def add_label_options(parser: argparse.ArgumentParser, training: bool = True, form: bool | None = None) -> None:
    """What people say about labels where these do not say it themselves; see `label_options`.

    Args:
        training: whether labels are taken to train on, so that it matters whether all plates have one.
        form: whether there is `--form`; as `training` if None.
    """
    from lpr_e2e.data.forms import FORMS
    from lpr_e2e.data.labels import BOX_FORMS, TEXT_KEY

    group = parser.add_argument_group("labels", "only where the labels do not say it themselves")
    add = group.add_argument
    if training if form is None else form:
        add("--form", choices=(*FORMS,), help="form of the labels, where a folder has several")
    add("--boxes", choices=BOX_FORMS, help="form of a table's boxes; rel_: shares of the photograph's width and height")
    add("--exif", choices=("before", "after"), help="boxes are of photographs before or after EXIF turns them")
    add("--picture-column", metavar="COLUMN", help="a table's column with the pictures' names")
    add("--box-columns", nargs=4, metavar="COLUMN", help="a table's columns with the boxes, in the order of --boxes")
    add("--text-column", metavar="COLUMN", help="a table's column with the texts")
    add("--text-key", metavar="KEY", help=f"where an annotation or region has the text, in COCO else {TEXT_KEY}")
    add("--category", metavar="NAME", help="the plates' category or class, where there are several")
    add("--pictures", type=Path, nargs="+", metavar="FOLDER", help="where the pictures are, if not beside the labels")
    add("--no-plates", type=Path, metavar="FOLDER", help="further pictures, which show no plate")
    add("--validation", type=Path, metavar="SOURCE", help="labels (file or folder) of further pictures, all held out")
    if training:
        add(
            "--labels",
            choices=("complete", "partial"),
            help="whether there may be plates that nobody labelled (partial); default: the labels tell",
        )


def label_inputs(options: argparse.Namespace) -> list[Path]:
    """What is read besides the labels themselves, as the options of `add_label_options` and `add_data_options` say."""
    named = (getattr(options, name, None) for name in ("validation", "no_plates", "exclude"))
    return [path for path in (*named, *(options.pictures or ())) if path]


def label_options(options: argparse.Namespace) -> LabelOptions:
    """What was said by the options of `add_label_options`; `import`'s argument FORM, too, where `auto` says nothing."""
    from lpr_e2e.data.labels import LabelOptions

    form = getattr(options, "form", None)
    return LabelOptions(
        form=None if form == "auto" else form,
        boxes=options.boxes,
        exif=options.exif,
        picture_column=options.picture_column,
        box_columns=tuple(options.box_columns or ()),
        text_column=options.text_column,
        text_key=options.text_key,
        category=options.category,
        pictures=tuple(options.pictures or ()),
        labels=getattr(options, "labels", None),
        no_plates=options.no_plates,
        validation=options.validation,
    )


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """How a data set is to be taken, by `train` and `check`; see `data_source`."""
    parser.add_argument(
        "--exclude", type=Path, metavar="CSV", help="leave out the listed crops (img_id), and their texts everywhere"
    )
    parser.add_argument(
        "--cache", type=Path, metavar="FOLDER", help="where to remember what the pictures show; default: with the data"
    )
    add_label_options(parser)


def data_source(options: argparse.Namespace, paths: Sequence[Path], seed: int | None) -> DataSource:
    """The data set that the options of `add_data_options` describe, or the several ones that are to be trained on
    together; `seed` is that of a drawn split, 0 if None."""
    from lpr_e2e.data.dataset import DataSource

    path, *further = paths
    return DataSource(path, label_options(options), options.exclude, seed or 0, options.cache, tuple(further))
