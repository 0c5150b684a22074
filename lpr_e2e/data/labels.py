"""Labels as people have them, and what becomes of them: the vocabulary that the forms of labels share.

    label files --`forms`--> Labels (as written) --`resolving`--> Labelled (files, pixels, one form of text)

A photograph has any number of plates, none included; each has a box, and a text or none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from lpr_e2e.data.problems import Problem
from lpr_e2e.data.tables import Row

# How labels write a box: corners, or a corner or the centre with the sides; in pixels, or in parts of the picture's
# sides: shares, percent (Label Studio) or thousandths. The names are keras-cv's, as far as it has them.
BOX_ARRANGEMENTS = ("yxyx", "xyxy", "xywh", "yxhw", "center_xywh", "center_yxhw")
BOX_SCALES = {"": 0, "rel_": 1, "percent_": 100, "permille_": 1000}
BOX_FORMS = tuple(scale + arrangement for scale in BOX_SCALES for arrangement in BOX_ARRANGEMENTS)
# Where an annotation of a COCO file has the plate's text, if nobody says otherwise; a dot leads into an object.
TEXT_KEY = "attributes.text"

_VALIDATION_WORDS = frozenset("val valid validation held heldout holdout dev development".split())


@dataclass(frozen=True)
class PlateLabel:
    """What one row, annotation or region says of a photograph.

    Attributes:
        row: where it is written: `csv` is the name of its file (below `Labels.path`, if that is a folder), `number`
            its row or its number in its list; the photograph's name and the text as written (None: no text); no box.
        box: four finite numbers as written, in the order of `Labels.box_form`; None: no plate is on the photograph,
            or, where `Labels.holds_crops`, the picture is a plate itself.
    """

    row: Row
    box: tuple[float, float, float, float] | None


@dataclass
class Labels:
    """What a label file says, as it is written; names, texts and boxes are brought to one form later.

    Attributes:
        path: the file; the folder, for forms with a file for each picture.
        holds_crops: each row names a picture of one plate, with its text; there are no boxes.
        held_out: these photographs or crops are to be held out from the training.
        answers: a person has answered to these photographs with `label`: other labels say nothing of them.
        plates: in the order of the file; photographs without a plate among them, see `PlateLabel.box`.
        box_form: one of `BOX_FORMS`, where the form or the names of columns settle it; None: the numbers have to tell.
        box_candidates: the readings that the names of columns allow where they settle nothing, the likeliest first;
            all of them take the four numbers in the order in which `PlateLabel.box` has them.
        sizes: (height, width) of photographs in pixels by their name as written, as far as the file says them.
        pictures: folders to look for the pictures in, the likeliest first.
        problems: what cannot be used, each with its row.
        given_up: rows of plates that cannot be used, with their texts as written, as far as they are known.
        notes: what else people should know, such as what was left aside; a line each.
    """

    path: Path
    holds_crops: bool = False
    held_out: bool = False
    answers: bool = False
    plates: list[PlateLabel] = field(default_factory=list)
    box_form: str | None = None
    box_candidates: tuple[str, ...] = ()
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    pictures: tuple[Path, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    given_up: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, row: Row, box: tuple[float, float, float, float] | None = None, text: str | None = None) -> None:
        """Add a plate, or without a box a picture, with its text as written; a text of blanks alone is none."""
        text = text if text and text.strip() else None
        self.plates.append(PlateLabel(row if row.text == text else replace(row, text=text), box))  # A copy costs time.

    def give_up(self, row: Row, value: str, kind: str, message: str) -> None:
        """Name a plate that cannot be used; its photograph is then `incomplete`."""
        self.problems.append(row.problem(value, kind, message))
        self.given_up.append(row)

    @property
    def incomplete(self) -> set[str]:
        """Names as written of photographs on which a plate is labelled that cannot be used: not all are known."""
        return set() if self.holds_crops else {row.img_id for row in self.given_up if row.img_id}

    @property
    def names(self) -> list[str]:
        """The pictures' names as written, each once, in the file's order."""
        return list(dict.fromkeys(plate.row.img_id for plate in self.plates))

    @property
    def has_texts(self) -> bool:
        """Whether any of its plates has a text."""
        return any(plate.row.text for plate in self.plates)

    @property
    def has_boxes(self) -> bool:
        """Whether any of its plates has a box."""
        return any(plate.box for plate in self.plates)


@dataclass(frozen=True)
class LabelOptions:
    """What people say where their labels do not say it themselves; None and () leave it to the labels.

    Attributes:
        form: a name of `lpr_e2e.data.forms.FORMS`.
        boxes: one of `BOX_FORMS`: the form of the boxes of tables.
        exif: "before" or "after": whether boxes are of photographs as stored, or turned as EXIF says they are seen.
        picture_column, text_column: columns of tables, in any case.
        box_columns: the four columns of a box, in the order of `boxes`.
        text_key: where an annotation of a COCO file has the text, where a form has named attributes the name of it.
        category: the name of the plates' category, where a form has several.
        pictures: folders to look for pictures in, instead of those beside the labels.
        labels: "complete": every plate of a photograph is labelled; "partial": further ones may not be.
        no_plates: a folder with further pictures, which show no plate.
        validation: a further label file or folder, all of which is to be held out.
    """

    form: str | None = None
    boxes: str | None = None
    exif: str | None = None
    picture_column: str | None = None
    box_columns: tuple[str, ...] = ()
    text_column: str | None = None
    text_key: str | None = None
    category: str | None = None
    pictures: tuple[Path, ...] = ()
    labels: str | None = None
    no_plates: Path | None = None
    validation: Path | None = None


# The labels say it all.
NOTHING_SAID = LabelOptions()


@dataclass(frozen=True)
class LabelledPhotograph:
    """A photograph whose file was found.

    Attributes:
        img_id: its name, unique among the photographs.
        path: its file.
        plates: a row for each of its plates, `box_px` yxyx in pixels of the decoded photograph (after EXIF), `text` in
            one form or None; () if it shows none.
        held: whether the labels hold it out.
        complete: whether all of its labelled plates are among `plates`; else the label of one could not be used, so
            what is outside of `plates` is not known to be no plate.
    """

    img_id: str
    path: Path
    plates: tuple[Row, ...]
    held: bool = False
    complete: bool = True


@dataclass(frozen=True)
class LabelledCrop:
    """A plate crop whose file was found; its row has its text in one form and no box."""

    row: Row
    path: Path
    held: bool = False


@dataclass
class Labelled:
    """All photographs and crops that labels name, found and brought to one form.

    Attributes:
        photographs, crops: in the order of the labels.
        problems: every row that cannot be used, or was changed.
        notes: how names, boxes and texts were understood; a line each.
        has_validation: whether the labels say themselves what is held out.
        sources: the label files, as written; what answers replace is left out.
    """

    photographs: list[LabelledPhotograph] = field(default_factory=list)
    crops: list[LabelledCrop] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    has_validation: bool = False
    sources: list[Labels] = field(default_factory=list)


def names_validation(name: str) -> bool:
    """Whether a name of a file or folder says that it is held out: `val`, `instances_val2017`, `held-out`, `dev`."""
    return not _VALIDATION_WORDS.isdisjoint(_words(name))


def names_test(name: str) -> bool:
    """Whether a name of a file or folder says that it is a test set, which nothing is ever learnt from."""
    return not {"test", "testing"}.isdisjoint(_words(name))


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
