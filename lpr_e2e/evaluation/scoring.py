"""Readings against the truth: exact plates, characters, boxes, calibration and the challenge's log loss.

Training scores its held-out photographs with it, `predict --truth` and `evaluate` any photographs with known plates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lpr_e2e.common.boxes import intersection_over_union
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.tables import BOX_COLUMNS, EXTRA, Table, numbers, read_table
from lpr_e2e.evaluation.appearance import Appearance, appearance_of
from lpr_e2e.evaluation.calibration import expected_calibration_error
from lpr_e2e.evaluation.metrics import average_precision, challenge_log_loss, character_accuracy, plate_accuracy
from lpr_e2e.prediction.challenge import digit_distributions
from lpr_e2e.prediction.reading import COLUMNS, Reading, best_reading

# The overlaps (IoU) from which a box counts as right: about the plate, and well around it.
LOOSE_IOU, TIGHT_IOU = 0.5, 0.7


class Known(Protocol):
    """What `score` needs to know about a photograph: `Truth` has it, and so has `dataset.Photograph`."""

    @property
    def img_id(self) -> str: ...

    @property
    def text(self) -> str | None: ...

    @property
    def box_px(self) -> tuple[float, float, float, float] | None: ...


@dataclass(frozen=True)
class Truth:
    """What a photograph really shows.

    Attributes:
        img_id: the photograph, named as its readings name it.
        text: the plate's text, or None if unknown.
        box_px: the plate's box, yxyx in photograph pixels, or None if unknown.
    """

    img_id: str
    text: str | None = None
    box_px: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Mistake:
    """A plate that was read wrongly (`read` is empty where nothing was read)."""

    img_id: str
    truth: str
    read: str
    confidence: float


@dataclass(frozen=True)
class Figures:
    """What `score` found. Shares are 0..1; a figure is None where no truth allows it.

    Where a photograph has several readings, the most certain one counts. A photograph in which no
    plate was found or read counts as a wrong text of certainty 0, as IoU 0, and as uniform digits.

    The names are the keys of `figures.json`, the columns of `history.csv` and the tags of TensorBoard.

    Attributes:
        texts: number of photographs with a known text.
        plates_right: plate accuracy: the share of them read without any error (exact match).
        characters_right: character accuracy, see `metrics.character_accuracy`.
        mean_certainty: mean confidence of the readings; equals `plates_right` for a calibrated reader.
        calibration_error: expected calibration error (ECE) of the confidence.
        log_loss: the challenge's, in nats per digit, over the texts that fit its form.
        boxes: number of photographs with a known box.
        mean_iou, iou_50, iou_70: mean IoU of its box, and the shares of at least 0.5 and 0.7.
        average_precision_50: average precision (AP) at IoU 0.5 over all boxes given; None without `pycocotools`.
        mistakes: the texts read wrongly, most confident first: a confident mistake is the worst kind.
        missing: img_ids of the truth that have no reading; they take part in no figure.
    """

    texts: int = 0
    plates_right: float | None = None
    characters_right: float | None = None
    mean_certainty: float | None = None
    calibration_error: float | None = None
    log_loss: float | None = None
    boxes: int = 0
    mean_iou: float | None = None
    iou_50: float | None = None
    iou_70: float | None = None
    average_precision_50: float | None = None
    mistakes: tuple[Mistake, ...] = ()
    missing: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, float]:
        """The figures that are known, by name, without counts and lists: for logs and TensorBoard."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, float)}

    def table(self) -> str:
        """The figures as lines of text for people."""
        percent = "{:.1%}".format
        number = "{:.3f}".format
        rows: list[tuple[str, float | None, Callable[[Any], str]]] = [
            ("photographs with a known text", self.texts, str),
            ("plate accuracy (exact match)", self.plates_right, percent),
            ("character accuracy", self.characters_right, percent),
            ("mean confidence", self.mean_certainty, percent),
            ("expected calibration error (ECE)", self.calibration_error, percent),
            ("log loss per digit, challenge's form", self.log_loss, "{:.4f}".format),
            ("photographs with a known box", self.boxes, str),
            ("mean IoU of the best box", self.mean_iou, number),
            (f"best box at IoU {LOOSE_IOU} or more", self.iou_50, percent),
            (f"best box at IoU {TIGHT_IOU} or more", self.iou_70, percent),
            (f"average precision (AP) at IoU {LOOSE_IOU}", self.average_precision_50, number),
        ]
        return "\n".join(f"{name:<38}{form(value):>8}" for name, value, form in rows if value is not None)


class Scoring:
    """Collects the readings of the photographs whose truth is known, as they come.

    Args:
        truths: what is known, one per photograph.

    Attributes:
        truths: by img_id.
        readings: of these photographs, by img_id.
        appearances: of the true plates, by img_id, where the box is known.
    """

    def __init__(self, truths: Sequence[Known]):
        self.truths = {truth.img_id: truth for truth in truths}
        self.readings: dict[str, Sequence[Reading]] = {}
        self.appearances: dict[str, Appearance] = {}

    def write(self, img_id: str, photograph: np.ndarray | None, readings: Sequence[Reading]) -> None:
        """Take one photograph's readings; those of a photograph of unknown truth are not kept.

        Args:
            img_id: its name.
            photograph: uint8 RGB `(h, w, 3)`, or None if it could not be decoded or is not at hand.
            readings: at least one.
        """
        truth = self.truths.get(img_id)
        if truth is not None:
            self.readings[img_id] = readings
            if truth.box_px is not None:
                self.appearances[img_id] = appearance_of(truth.box_px, photograph)

    def figures(self, vocabulary: Vocabulary | None = None) -> Figures:
        """See `score`."""
        return score(list(self.truths.values()), self.readings, vocabulary)


def score(
    truths: Sequence[Known], readings: Mapping[str, Sequence[Reading]], vocabulary: Vocabulary | None = None
) -> Figures:
    """Compare readings with the truth.

    Args:
        truths: what is known, one per photograph.
        readings: the readings of every photograph, by img_id.
        vocabulary: the model's; without it, or without digits and T in it, there is no log loss.
    """
    missing = tuple(truth.img_id for truth in truths if truth.img_id not in readings)
    truths = [truth for truth in truths if truth.img_id in readings]
    best = {truth.img_id: best_reading(readings[truth.img_id]) for truth in truths}
    return Figures(
        **_text_figures(truths, best, vocabulary),
        **_box_figures(truths, best, readings),
        missing=missing,
    )


def _text_figures(truths: Sequence[Known], best: Mapping[str, Reading], vocabulary: Vocabulary | None) -> dict:
    """What the known texts of photographs allow."""
    known = [(truth.img_id, truth.text, best[truth.img_id]) for truth in truths if truth.text is not None]
    if not known:
        return {}
    texts, answers = [text for _, text, _ in known], [reading.text for _, _, reading in known]
    confidences = [reading.confidence for _, _, reading in known]
    right = [reading.text == text for _, text, reading in known]
    mistakes = [
        Mistake(img_id, text, reading.text, reading.confidence)
        for img_id, text, reading in known
        if reading.text != text
    ]
    found = {
        "texts": len(known),
        "plates_right": plate_accuracy(texts, answers),
        "characters_right": character_accuracy(texts, answers),
        "mean_certainty": float(np.mean(confidences)),
        "calibration_error": expected_calibration_error(confidences, right),
        "mistakes": tuple(sorted(mistakes, key=lambda mistake: -mistake.confidence)),
    }
    if vocabulary is not None and set("0123456789T") <= set(vocabulary.characters):
        digits = [digit_distributions(reading.characters, vocabulary) for _, _, reading in known]
        found["log_loss"] = challenge_log_loss(texts, digits)
    return found


def _box_figures(
    truths: Sequence[Known], best: Mapping[str, Reading], readings: Mapping[str, Sequence[Reading]]
) -> dict:
    """What the known boxes of photographs allow."""
    true_boxes = [(truth.img_id, truth.box_px) for truth in truths if truth.box_px is not None]
    if not true_boxes:
        return {}
    overlaps = np.array([overlap(best[img_id], box_px) for img_id, box_px in true_boxes])
    boxes = [
        (img_id, reading.box_confidence, reading.box_px)
        for img_id, _ in true_boxes
        for reading in readings[img_id]
        if reading.box_px is not None
    ]
    return {
        "boxes": len(true_boxes),
        "mean_iou": float(overlaps.mean()),
        "iou_50": float((overlaps >= LOOSE_IOU).mean()),
        "iou_70": float((overlaps >= TIGHT_IOU).mean()),
        "average_precision_50": average_precision(true_boxes, boxes, LOOSE_IOU),
    }


def overlap(reading: Reading, box_px: Sequence[float]) -> float:
    """IoU of a reading's box with the true one `(4,)` yxyx; 0 if the reading has none."""
    if reading.box_px is None:
        return 0.0
    return float(intersection_over_union(np.array(reading.box_px), np.array(box_px)))


def read_texts(path: Path | str) -> set[str]:
    """The texts in the column `text` of a CSV.

    Raises:
        UserError: the file cannot be read, or has no such column.
    """
    table = read_table(Path(path))
    if "text" not in table.columns:
        raise UserError(f"{path}: expected a column text, found {','.join(table.columns) or 'none'}")
    return {values["text"] for _, values in table.records if values["text"]}


def read_truth(path: Path | str) -> list[Truth]:
    """Read a CSV with the column `img_id`, and `text` or boxes `ymin,xmin,ymax,xmax` (pixels) or both.

    An empty `text` or box means unknown.

    Raises:
        UserError: the file cannot be read, a column is missing, a value is no number, or a photograph is named twice;
            says where.
    """
    table = read_table(Path(path))
    columns = table.columns
    if "img_id" not in columns or not ("text" in columns or set(BOX_COLUMNS) <= set(columns)):
        expected = f"img_id,text and optionally {','.join(BOX_COLUMNS)}"
        raise UserError(f"{path}: expected the columns {expected}, found {','.join(columns) or 'none'}")
    truths: dict[str, Truth] = {}
    for number, values in table.records:
        img_id = _img_id(table, number, values)
        if img_id in truths:
            raise UserError(f"{path}, line {number}: img_id {img_id!r}: expected each photograph only once")
        truths[img_id] = Truth(img_id, values.get("text") or None, _box(table, number, values))
    return list(truths.values())


def read_predictions(path: Path | str) -> dict[str, list[Reading]]:
    """The readings that an earlier `predictions.csv` holds, by img_id, in its order.

    They are without the probabilities of single characters, so they allow no log loss.

    Raises:
        UserError: the file cannot be read, a column is missing, or a value is none that this file holds; says where.
    """
    table = read_table(Path(path))
    if not set(COLUMNS) <= set(table.columns):
        found = ",".join(table.columns) or "none"
        raise UserError(f"{path}: expected a predictions.csv with the columns {','.join(COLUMNS)}, found {found}")
    readings: dict[str, list[Reading]] = {}
    for number, values in table.records:
        img_id = _img_id(table, number, values)
        written = [values[name] for name in ("confidence", "box_confidence")]
        certainties = numbers(written)
        if certainties is None or not all(0 <= value <= 1 for value in certainties):
            raise UserError(
                f"{path}, line {number}: confidence and box_confidence {written}: expected two numbers 0 to 1"
            )
        box_px = _box(table, number, values)
        reading = Reading(img_id, values["text"], certainties[0], box_px, certainties[1], values["status"])
        readings.setdefault(img_id, []).append(reading)
    return readings


def _img_id(table: Table, number: int, values: dict[str, str]) -> str:
    """The photograph that a row is about, and nothing behind the last column."""
    if not values["img_id"]:
        raise UserError(f"{table.path}, line {number}: img_id '': expected a photograph's name")
    if values[EXTRA]:
        raise UserError(
            f"{table.path}, line {number}: {values[EXTRA]!r} is too much: expected {','.join(table.columns)}"
        )
    # `./` stands in predictions.csv before a name that a spreadsheet would take for a formula.
    return values["img_id"].removeprefix("./")


def _box(table: Table, number: int, values: dict[str, str]) -> tuple[float, float, float, float] | None:
    """The box of a row, or None if it is empty."""
    written = [values.get(column, "") for column in BOX_COLUMNS]
    if not any(written):
        return None
    box_px = numbers(written)
    if box_px is None:
        raise UserError(f"{table.path}, line {number}: box {written}: expected four numbers {','.join(BOX_COLUMNS)}")
    ymin, xmin, ymax, xmax = box_px
    return ymin, xmin, ymax, xmax
