"""Labels as people have them: any number of plates on a photograph, each with a box and perhaps a text.

Here is what all forms of label files have in common, and the forms of boxes; `labels_table` and `labels_coco` read one
form of files each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from lpr_e2e.common.errors import UserError
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.tables import Row, stays_inside

# Forms of boxes by keras-cv's names: pixels, or with `rel_` shares of the photograph's width and height. keras-cv lacks
# `rel_center_xywh`, the form of YOLO's labels, but shares are converted like pixels.
BOX_FORMS = tuple(prefix + form for prefix in ("", "rel_") for form in ("yxyx", "xyxy", "xywh", "center_xywh"))


@dataclass(frozen=True)
class PlateLabel:
    """One plate of a photograph.

    Attributes:
        row: where it is written, its photograph and its text (None if there is none); without a box.
        box: yxyx, in pixels or, if `is_relative`, in shares of the photograph's height and width.
        is_relative: see `box`.
    """

    row: Row
    box: tuple[float, float, float, float]
    is_relative: bool

    def on(self, height: int, width: int) -> Row:
        """The row with its box in pixels of its photograph, which has `height` x `width` of them."""
        scale = (height, width) * 2 if self.is_relative else (1, 1) * 2
        return replace(self.row, box_px=tuple(value * side for value, side in zip(self.box, scale, strict=True)))


@dataclass
class Labels:
    """What a label file says.

    Attributes:
        path: the file.
        photographs: the img_ids of all photographs that it names, in its order; usable or not.
        plates: its plates, in its order.
        without_plate: a row for each photograph that it names without a plate.
        problems: what is wrong with its other rows.
        sizes: (height, width) of photographs by img_id, in pixels, as far as the file says them.
    """

    path: Path
    photographs: dict[str, None] = field(default_factory=dict)
    plates: list[PlateLabel] = field(default_factory=list)
    without_plate: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add_plates(self, rows: Sequence[Row], boxes: Sequence[Sequence[float]], form: str) -> None:
        """Add plates whose boxes are finite numbers `(n, 4)` of a form of `BOX_FORMS`; inside-out ones are problems.

        Raises:
            UserError: the boxes cannot be converted, or are shares that are said to be pixels.
        """
        is_relative = form.startswith("rel_")
        if boxes and not is_relative and max(map(max, boxes)) <= 1:
            raise UserError(
                f"{self.path}: no box reaches beyond 1; expected boxes in pixels; if a table has shares of the "
                f"photograph's width and height, say --boxes rel_{form}"
            )
        for row, written, box in zip(rows, boxes, to_yxyx(boxes, form), strict=True):
            ymin, xmin, ymax, xmax = box
            if not all(map(math.isfinite, box)) or ymin >= ymax or xmin >= xmax:
                value = ",".join(f"{number:g}" for number in written)
                message = f"expected a box of the form {form}; skipped, correct it; of a table, --boxes says the form"
                self.problems.append(row.problem(value, "inside-out box", message))
            else:
                self.plates.append(PlateLabel(row, (ymin, xmin, ymax, xmax), is_relative))


def to_yxyx(boxes: Sequence[Sequence[float]], form: str) -> list[Sequence[float]]:
    """Boxes `(n, 4)` of a form of `BOX_FORMS` as yxyx; pixels stay pixels and shares stay shares.

    Raises:
        UserError: the form needs keras-cv, and that cannot be imported.
    """
    arrangement = form.removeprefix("rel_")
    if arrangement == "yxyx" or not boxes:
        return list(boxes)
    try:
        import keras_cv  # Takes seconds, and needs TensorFlow whatever the backend.
        import numpy as np
    except ImportError as error:
        raise UserError(
            f"boxes of the form {form} are converted by keras-cv, which cannot be imported ({error}); install it by "
            "pip install '.[coco]' in the project's folder, or write the boxes as ymin, xmin, ymax, xmax"
        ) from error
    given = np.array(boxes, "float64")
    converted = keras_cv.bounding_box.convert_format(given, source=arrangement, target="yxyx", dtype="float64")
    return np.asarray(converted).tolist()


def photograph_name(written: str) -> str:
    """The name of a photograph below its folder, as an img_id: with `/` whatever the system, without `./`."""
    name = written.strip().replace("\\", "/")
    return PurePosixPath(name).as_posix() if name else ""


def name_problem(row: Row) -> Problem | None:
    """What is wrong with the name of a row's photograph, if anything."""
    if not row.img_id:
        return row.problem("", "empty name", "expected a photograph's file name; skipped, fill it in")
    if not stays_inside(row.img_id) or not _fits_a_line(row.img_id):
        expected = "expected a name inside the folder of the photographs; skipped, correct it, or say --pictures"
        return row.problem(row.img_id, "unsafe name", expected)
    return None


def one_line(row: Row, text: str) -> tuple[str | None, Problem | None]:
    """A text as a CSV can hold it, None for an empty one, and a problem if that is not what was written."""
    joined = text.replace("\r", "").replace("\n", "").strip()
    if not _fits_a_line(joined):
        return None, row.problem(text, "no text", "expected letters and digits; the box is used without, correct it")
    if joined != text.strip():
        message = f"expected one line, in reading order; {joined!r} is used, correct it if that is wrong"
        return joined or None, row.problem(text, "text of several lines", message)
    return joined or None, None


def _fits_a_line(value: str) -> bool:
    """Whether a value can be written to a CSV of UTF-8 and be read from it again."""
    return not any(character in "\0\n\r" or "\ud800" <= character <= "\udfff" for character in value)
