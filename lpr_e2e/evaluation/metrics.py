"""How good readings are: exact plates, characters, boxes, calibration and the challenge's log loss.

Training scores its held-out photographs and crops with it, `predict.py --truth` any photographs with known plates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from lpr_e2e.common.boxes import intersection_over_union
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.tables import BOX_COLUMNS, EXTRA, numbers, read_table
from lpr_e2e.prediction.challenge import digit_distributions, digits_asked
from lpr_e2e.prediction.reading import Reading

CALIBRATION_BINS = 10


class Known(Protocol):
    """What `score` needs to know about a photograph: `Truth` has it, and so has `dataset.Photograph`."""

    img_id: str
    text: str | None
    box_px: tuple[float, float, float, float] | None


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

    Attributes:
        texts: number of photographs with a known text.
        plates_right: share of them read without any error.
        characters_right: characters right of all characters of the truths; of a text, its length less the edit
            distance to what was read, at least 0.
        mean_certainty: mean confidence of the readings; equals `plates_right` for a calibrated reader.
        calibration_error: expected calibration error of the confidence, see `expected_calibration_error`.
        log_loss: the challenge's, in nats per digit, over the texts that fit its form.
        boxes: number of photographs with a known box.
        mean_iou, iou_50, iou_70: mean IoU of its box, and the shares of at least 0.5 and 0.7.
        average_precision_50: average precision at IoU 0.5 over all boxes given, see `average_precision`.
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
        rows = [
            ("photographs with a known text", self.texts, str),
            ("plates read without an error", self.plates_right, percent),
            ("characters right", self.characters_right, percent),
            ("mean certainty", self.mean_certainty, percent),
            ("expected calibration error", self.calibration_error, percent),
            ("log loss per digit, challenge's form", self.log_loss, "{:.4f}".format),
            ("photographs with a known box", self.boxes, str),
            ("mean IoU of the best box", self.mean_iou, number),
            ("best box at IoU 0.5 or more", self.iou_50, percent),
            ("best box at IoU 0.7 or more", self.iou_70, percent),
            ("average precision at IoU 0.5", self.average_precision_50, number),
        ]
        return "\n".join(f"{name:<38}{form(value):>8}" for name, value, form in rows if value is not None)


class Scoring:
    """Collects the readings of the photographs whose truth is known, as they come.

    Args:
        truths: what is known, one per photograph.

    Attributes:
        truths: by img_id.
        readings: of these photographs, by img_id.
        looks: of the true plates, by img_id, where the box is known and the photograph could be decoded.
    """

    def __init__(self, truths: Sequence[Known]):
        self.truths = {truth.img_id: truth for truth in truths}
        self.readings: dict[str, Sequence[Reading]] = {}
        self.looks: dict[str, Look] = {}

    def write(self, img_id: str, photograph: np.ndarray | None, readings: Sequence[Reading]) -> None:
        """Take one photograph's readings; those of a photograph of unknown truth are not kept."""
        truth = self.truths.get(img_id)
        if truth is not None:
            self.readings[img_id] = readings
            if photograph is not None and truth.box_px is not None:
                self.looks[img_id] = look(photograph, truth.box_px)

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
    found: dict = {"missing": missing}

    with_text = [truth for truth in truths if truth.text is not None]
    if with_text:
        texts = [truth.text for truth in with_text]
        read = [best[truth.img_id] for truth in with_text]
        confidences = np.array([reading.confidence for reading in read], "float64")
        right = np.array([reading.text == text for reading, text in zip(read, texts, strict=True)])
        mistakes = [
            Mistake(truth.img_id, truth.text, reading.text, reading.confidence)
            for truth, reading in zip(with_text, read, strict=True)
            if reading.text != truth.text
        ]
        found |= {
            "texts": len(texts),
            "plates_right": float(right.mean()),
            "characters_right": characters_right(texts, [reading.text for reading in read]),
            "mean_certainty": float(confidences.mean()),
            "calibration_error": expected_calibration_error(confidences, right),
            "mistakes": tuple(sorted(mistakes, key=lambda mistake: -mistake.confidence)),
        }
        if vocabulary is not None and set("0123456789T") <= set(vocabulary.characters):
            digits = [digit_distributions(reading.characters, vocabulary) for reading in read]
            found["log_loss"] = challenge_log_loss(texts, digits)

    with_box = {truth.img_id: truth.box_px for truth in truths if truth.box_px is not None}
    if with_box:
        overlaps = np.array(
            [
                0.0 if best[img_id].box_px is None else intersection_over_union(best[img_id].box_px, box_px)
                for img_id, box_px in with_box.items()
            ]
        )
        boxes = [
            (img_id, reading.box_confidence, reading.box_px)
            for img_id in with_box
            for reading in readings[img_id]
            if reading.box_px is not None
        ]
        found |= {
            "boxes": len(with_box),
            "mean_iou": float(overlaps.mean()),
            "iou_50": float((overlaps >= 0.5).mean()),
            "iou_70": float((overlaps >= 0.7).mean()),
            "average_precision_50": average_precision(with_box, boxes, 0.5),
        }
    return Figures(**found)


def best_reading(readings: Sequence[Reading]) -> Reading:
    """The most certain reading of a photograph."""
    return max(readings, key=lambda reading: reading.certainty)


def alignment(first: str, second: str) -> list[tuple[str, str]]:
    """The characters of two texts side by side, with the fewest differences.

    Returns:
        pairs of one character of each; an empty string stands where the other text has one more.
    """
    costs = np.zeros((len(first) + 1, len(second) + 1), int)
    costs[:, 0], costs[0] = np.arange(len(first) + 1), np.arange(len(second) + 1)
    for i, a in enumerate(first, start=1):
        for j, b in enumerate(second, start=1):
            costs[i, j] = min(costs[i - 1, j] + 1, costs[i, j - 1] + 1, costs[i - 1, j - 1] + (a != b))
    pairs, i, j = [], len(first), len(second)
    while i or j:
        if i and j and costs[i, j] == costs[i - 1, j - 1] + (first[i - 1] != second[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((first[i], second[j]))
        elif i and costs[i, j] == costs[i - 1, j] + 1:
            i -= 1
            pairs.append((first[i], ""))
        else:
            j -= 1
            pairs.append(("", second[j]))
    return pairs[::-1]


def edit_distance(first: str, second: str) -> int:
    """Fewest insertions, deletions and replacements of single characters that turn one text into the other."""
    return sum(a != b for a, b in alignment(first, second))


def characters_right(truths: Sequence[str], texts: Sequence[str]) -> float | None:
    """Share of the truths' characters that are right: per text its length less the edit distance, at least 0."""
    right = sum(max(0, len(truth) - edit_distance(truth, text)) for truth, text in zip(truths, texts, strict=True))
    total = sum(map(len, truths))
    return right / total if total else None


def expected_calibration_error(confidences: np.ndarray, right: np.ndarray, bins: int = CALIBRATION_BINS) -> float:
    """Mean distance between confidence and share of right readings, over bins of equal width, weighted by their size.

    Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv:1706.04599).

    Args:
        confidences: float `(n,)`, 0..1.
        right: bool `(n,)`, whether the reading was right.
        bins: number of bins of 0..1.
    """
    confidences, right = np.asarray(confidences, "float64"), np.asarray(right, "float64")
    which = np.clip((confidences * bins).astype(int), 0, bins - 1)
    gaps = [abs((confidences[which == index] - right[which == index]).sum()) for index in range(bins)]
    return float(sum(gaps) / max(len(confidences), 1))


def challenge_log_loss(texts: Sequence[str], digits: Sequence[np.ndarray]) -> float | None:
    """The challenge's score: mean over all rows (photograph and position) of -ln(probability of the true digit).

    Args:
        texts: the true texts; those that do not fit the form (see `digits_asked`) are left out.
        digits: `(7, 10)` probabilities for each text, in the same order.

    Returns:
        Nats per row: 0 is perfect, ln 10 = 2.303 is knowing nothing. None if no text fits.
    """
    losses = []
    for text, rows in zip(texts, digits, strict=True):
        asked = digits_asked(text)
        if asked is not None:
            losses.append(-np.log(np.maximum(np.asarray(rows, "float64")[np.arange(len(asked)), asked], 1e-15)))
    return float(np.mean(losses)) if losses else None


def fitted_temperature(probabilities: np.ndarray, classes: np.ndarray) -> float:
    """The temperature under which the true characters are likeliest (Guo et al. 2017).

    Args:
        probabilities: float `(n, slots, classes)`, at temperature 1.
        classes: int `(n, slots)`, the truth.

    Returns:
        What logits are divided by: above 1 for a reader that is too sure of itself; 1 for no plates at all.
    """
    if not len(classes):
        return 1.0
    logits = np.log(np.maximum(probabilities, 1e-12))

    def cost(temperature: float) -> float:
        scaled = logits / temperature
        normaliser = np.log(np.exp(scaled - scaled.max(-1, keepdims=True)).sum(-1)) + scaled.max(-1)
        return float((normaliser - np.take_along_axis(scaled, classes[..., None], axis=-1)[..., 0]).mean())

    return float(min(np.geomspace(0.25, 4.0, 81), key=cost))


def average_precision(
    truth_boxes: Mapping[str, Sequence[float]], boxes: Sequence[tuple[str, float, Sequence[float]]], overlap: float
) -> float:
    """Average precision of one class, one true box per photograph, COCO's way: 101 levels of recall.

    Written out here because keras_cv's BoxCOCOMetrics needs pycocotools, and TensorFlow and padded tensors for what
    is a few lines of numpy.

    Args:
        truth_boxes: img_id to the true box, `(4,)` yxyx.
        boxes: every box found in these photographs: img_id, confidence, `(4,)` yxyx in the frame of the truth.
        overlap: the IoU from which a box is right.
    """
    matched: set[str] = set()
    hits = []
    for img_id, _, box in sorted(boxes, key=lambda found: -found[1]):
        hit = img_id not in matched and intersection_over_union(box, truth_boxes[img_id]) >= overlap
        hits.append(hit)
        if hit:
            matched.add(img_id)
    if not hits:
        return 0.0
    right = np.cumsum(hits)
    recall, precision = right / len(truth_boxes), right / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]  # The best precision at this recall or a higher one.
    reached = np.searchsorted(recall, np.linspace(0, 1, 101) - 1e-9)
    return float(np.append(precision, 0.0)[np.minimum(reached, len(precision))].mean())


@dataclass(frozen=True)
class Look:
    """What a plate looks like on its photograph.

    Attributes:
        width: longer side of its box, photograph pixels.
        aspect: longer by shorter side of its box; a tilted plate's box is nearly square, and so is a two-line plate's.
        brightness: mean grey of the box, 0..255.
    """

    width: float
    aspect: float
    brightness: float


def look(photograph: np.ndarray, box_px: Sequence[float]) -> Look:
    """The look of the plate in a box `(4,)` yxyx of a uint8 RGB photograph `(h, w, 3)`."""
    height, width = box_px[2] - box_px[0], box_px[3] - box_px[1]
    ymin, xmin = (int(max(0, np.floor(value))) for value in box_px[:2])
    part = photograph[ymin : int(np.ceil(box_px[2])), xmin : int(np.ceil(box_px[3]))]
    grey = float(cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2GRAY).mean()) if part.size else 0.0
    return Look(float(max(height, width)), float(max(height, width) / max(1.0, min(height, width))), grey)


def read_texts(path: Path | str) -> set[str]:
    """The texts in the column `text` of a CSV.

    Raises:
        ValueError: the file cannot be read, or has no such column.
    """
    table = read_table(Path(path))
    if "text" not in table.columns:
        raise UserError(f"{path}: expected a column text, found {','.join(table.columns) or 'none'}")
    return {values["text"] for _, values in table.records if values["text"]}


def read_truth(path: Path | str) -> list[Truth]:
    """Read a CSV with the column `img_id`, and `text` or boxes `ymin,xmin,ymax,xmax` (pixels) or both.

    An empty `text` or box means unknown.

    Raises:
        ValueError: the file cannot be read, a column is missing, a value is no number, or a photograph is named twice;
            says where.
    """
    table = read_table(Path(path))
    columns = table.columns
    if "img_id" not in columns or not ("text" in columns or set(BOX_COLUMNS) <= set(columns)):
        expected = f"img_id,text and optionally {','.join(BOX_COLUMNS)}"
        raise UserError(f"{path}: expected the columns {expected}, found {','.join(columns) or 'none'}")
    truths: dict[str, Truth] = {}
    for number, values in table.records:
        where, img_id = f"{path}, line {number}", values["img_id"]
        if not img_id or img_id in truths:
            raise UserError(f"{where}: img_id {img_id!r}: expected a photograph's name, each only once")
        if values[EXTRA]:
            raise UserError(f"{where}: {values[EXTRA]!r} is too much: expected {','.join(columns)}")
        written = [values.get(column, "") for column in BOX_COLUMNS]
        box_px = numbers(written) if any(written) else None
        if any(written) and box_px is None:
            raise UserError(f"{where}: box {written}: expected four numbers {','.join(BOX_COLUMNS)}")
        truths[img_id] = Truth(img_id, values.get("text") or None, box_px)
    return list(truths.values())
