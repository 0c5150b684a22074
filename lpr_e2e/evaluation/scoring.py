"""Readings against the truth: exact plates, characters, boxes, calibration and the challenge's log loss.

Training scores its held-out photographs with it, `predict --truth` and `evaluate` any photographs with known plates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.evaluation.appearance import Appearance, appearance_of
from lpr_e2e.evaluation.calibration import expected_calibration_error
from lpr_e2e.evaluation.intervals import interval_in_words
from lpr_e2e.evaluation.matching import FOUND_IOU, Matched, Outcome, match
from lpr_e2e.evaluation.metrics import average_precision, challenge_log_loss, character_accuracy
from lpr_e2e.evaluation.truth import Known
from lpr_e2e.prediction.challenge import digit_distributions
from lpr_e2e.prediction.reading import Reading

# The overlap (IoU) from which a box lies well around its plate.
TIGHT_IOU = 0.7


@dataclass(frozen=True)
class Mistake:
    """A reading that is wrong.

    Attributes:
        img_id: the photograph.
        truth: what the plate says; empty where no plate is labelled.
        read: what was read; empty where nothing was.
        confidence: how certain that was.
    """

    img_id: str
    truth: str
    read: str
    confidence: float


@dataclass(frozen=True)
class Figures:
    """What `score` found. Shares are 0..1; a figure is None where no truth allows it.

    Every labelled plate counts once, however many a photograph has, with the reading that `matching.match` gives it.
    A plate that was not found counts as a wrong text, as the IoU of the box that comes nearest, and as uniform digits.

    The names are the keys of `figures.json`, the columns of `history.csv` and the tags of TensorBoard.

    Attributes:
        photographs: number of photographs scored.
        empty_photographs: number of them that are known to show no plate.
        plates: number of labelled plates on them.
        plates_found: the share of them that a reading belongs to.
        texts: number of plates with a known text.
        plates_right: plate accuracy: the share of these read without any error (exact match).
        right_of_found: the same of those that were found.
        characters_right: character accuracy, see `metrics.character_accuracy`.
        ok_coverage: the share of the plates with a known text whose reading has the status `ok`.
        ok_precision: the share of these readings that are exact.
        false_ok: number of readings with the status `ok` that belong to no labelled plate, on complete photographs.
        mean_certainty: mean confidence on the plates found; equals `right_of_found` for a calibrated reader.
        calibration_error: expected calibration error (ECE) of this confidence.
        log_loss: the challenge's, in nats per digit, over the texts that fit its form.
        boxes: number of plates with a known box.
        mean_iou, iou_50, iou_70: mean IoU of these boxes, and the shares of at least 0.5 and 0.7.
        average_precision_50: average precision (AP) at IoU 0.5 over all boxes given on complete photographs whose
            plates all have a box; None without `pycocotools`.
        counts: of each share of plates, how many they are and of how many: its interval comes of them.
        mistakes: the texts read wrongly, most confident first: a confident mistake is the worst kind.
        false_readings: what `false_ok` counts, most confident first.
        missing: img_ids of the truth that have no reading; they take part in no figure.
    """

    photographs: int = 0
    empty_photographs: int = 0
    plates: int = 0
    plates_found: float | None = None
    texts: int = 0
    plates_right: float | None = None
    right_of_found: float | None = None
    characters_right: float | None = None
    ok_coverage: float | None = None
    ok_precision: float | None = None
    false_ok: int | None = None
    mean_certainty: float | None = None
    calibration_error: float | None = None
    log_loss: float | None = None
    boxes: int = 0
    mean_iou: float | None = None
    iou_50: float | None = None
    iou_70: float | None = None
    average_precision_50: float | None = None
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    mistakes: tuple[Mistake, ...] = ()
    false_readings: tuple[Mistake, ...] = ()
    missing: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, float]:
        """The figures that are known, by name, without sizes and lists: for logs and TensorBoard."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        known = {name: value for name, value in values.items() if isinstance(value, float)}
        return known if self.false_ok is None else {**known, "false_ok": float(self.false_ok)}

    def sizes(self) -> dict[str, int]:
        """How much was scored, by name."""
        return {name: getattr(self, name) for name in ("photographs", "empty_photographs", "plates", "texts", "boxes")}

    def rows(self) -> list[tuple[str, str]]:
        """The figures that are known for people, each with its name; shares of plates with their intervals."""
        return [(title, value) for title, value in self._rows() if value is not None]

    def table(self) -> str:
        """The same as lines of text."""
        return "\n".join(f"{title:<40}{value}" for title, value in self.rows())

    def _rows(self) -> Iterator[tuple[str, str | None]]:
        def share(name: str) -> str | None:
            if name not in self.counts:
                return None
            count, of = self.counts[name]
            return f"{count / of:.1%} {interval_in_words(count, of)}"

        def number(value: float | None, form: str) -> str | None:
            return None if value is None else format(value, form)

        yield "photographs", str(self.photographs)
        yield "photographs without a plate", str(self.empty_photographs) if self.empty_photographs else None
        yield "plates", str(self.plates) if self.plates else None
        yield "plates found", share("plates_found")
        yield "plates with a known text", str(self.texts) if self.texts else None
        yield "plate accuracy (exact match)", share("plates_right")
        yield "plate accuracy of those found", share("right_of_found")
        yield "character accuracy", number(self.characters_right, ".1%")
        yield "status ok: coverage", share("ok_coverage")
        yield "status ok: precision", share("ok_precision")
        yield "status ok where no plate is labelled", number(self.false_ok, "d")
        yield "mean confidence", number(self.mean_certainty, ".1%")
        yield "expected calibration error (ECE)", number(self.calibration_error, ".1%")
        yield "log loss per digit, challenge's form", number(self.log_loss, ".4f")
        yield "plates with a known box", str(self.boxes) if self.boxes else None
        yield "mean IoU of the best box", number(self.mean_iou, ".3f")
        yield f"best box at IoU {FOUND_IOU} or more", share("iou_50")
        yield f"best box at IoU {TIGHT_IOU} or more", share("iou_70")
        yield f"average precision (AP) at IoU {FOUND_IOU}", number(self.average_precision_50, ".3f")


class Scoring:
    """Collects the readings of the photographs whose truth is known, as they come.

    Args:
        truths: what is known, one per photograph.

    Attributes:
        truths: by img_id.
        readings: of these photographs, by img_id.
        appearances: of their plates, by img_id, in the order of the labels; None where the box is unknown.
    """

    def __init__(self, truths: Sequence[Known]):
        self.truths = {truth.img_id: truth for truth in truths}
        self.readings: dict[str, Sequence[Reading]] = {}
        self.appearances: dict[str, tuple[Appearance | None, ...]] = {}

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
            self.appearances[img_id] = tuple(
                None if plate.box_px is None else appearance_of(plate.box_px, photograph) for plate in truth.plates
            )

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
    matched = [(truth, match(truth, readings[truth.img_id])) for truth in truths if truth.img_id in readings]
    outcomes = [one for _, found in matched for one in found.outcomes]
    counts = {"plates_found": (sum(one.reading is not None for one in outcomes), len(outcomes))}
    figures = {
        **_text_figures([one for one in outcomes if one.plate.text], counts, vocabulary),
        **_box_figures(outcomes, counts),
        **_false_readings(matched),
    }
    counts = {name: (count, of) for name, (count, of) in counts.items() if of}
    return Figures(
        photographs=len(matched),
        empty_photographs=sum(truth.complete and not truth.plates for truth, _ in matched),
        plates=len(outcomes),
        average_precision_50=_average_precision(truths, readings),
        counts=counts,
        missing=missing,
        **figures,
        **{name: count / of for name, (count, of) in counts.items()},
    )


def _text_figures(known: Sequence[Outcome], counts: dict[str, tuple[int, int]], vocabulary: Vocabulary | None) -> dict:
    """What the plates with a known text allow; shares of them go to `counts`."""
    if not known:
        return {}
    found = [one for one in known if one.reading is not None]
    sure = [one for one in found if one.reading is not None and one.reading.status == "ok"]
    counts["plates_right"] = (sum(one.is_right for one in known), len(known))
    counts["right_of_found"] = (sum(one.is_right for one in found), len(found))
    counts["ok_coverage"] = (len(sure), len(known))
    counts["ok_precision"] = (sum(one.is_right for one in sure), len(sure))
    texts = [one.plate.text or "" for one in known]
    mistakes = [
        Mistake(one.img_id, text, one.text, one.confidence)
        for one, text in zip(known, texts, strict=True)
        if not one.is_right
    ]
    figures: dict = {
        "texts": len(known),
        "characters_right": character_accuracy(texts, [one.text for one in known]),
        "mistakes": _most_confident_first(mistakes),
    }
    if found:  # Of a plate that was not found nothing was claimed, with whatever confidence.
        confidences = [one.confidence for one in found]
        figures["mean_certainty"] = float(np.mean(confidences))
        figures["calibration_error"] = expected_calibration_error(confidences, [one.is_right for one in found])
    if vocabulary is not None and set("0123456789T") <= set(vocabulary.characters):
        seen = [one.reading.characters if one.reading else None for one in known]
        figures["log_loss"] = challenge_log_loss(texts, [digit_distributions(one, vocabulary) for one in seen])
    return figures


def _box_figures(outcomes: Sequence[Outcome], counts: dict[str, tuple[int, int]]) -> dict:
    """What the plates with a known box allow; shares of them go to `counts`."""
    ious = np.array([one.iou for one in outcomes if one.iou is not None])
    if not len(ious):
        return {}
    counts["iou_50"] = (int((ious >= FOUND_IOU).sum()), len(ious))
    counts["iou_70"] = (int((ious >= TIGHT_IOU).sum()), len(ious))
    return {"boxes": len(ious), "mean_iou": float(ious.mean())}


def _false_readings(matched: Sequence[tuple[Known, Matched]]) -> dict:
    """What was read with the status `ok` where no plate is; nothing where no photograph is complete."""
    complete = [found for truth, found in matched if truth.complete]
    if not complete:
        return {}
    false = [
        Mistake(one.img_id, "", one.text, one.confidence)
        for found in complete
        for one in found.rest
        if one.status == "ok"
    ]
    return {"false_ok": len(false), "false_readings": _most_confident_first(false)}


def _most_confident_first(mistakes: Sequence[Mistake]) -> tuple[Mistake, ...]:
    return tuple(sorted(mistakes, key=lambda one: (-one.confidence, one.img_id, one.truth, one.read)))


def _average_precision(truths: Sequence[Known], readings: Mapping[str, Sequence[Reading]]) -> float | None:
    """AP of the boxes on the photographs of which every box is known."""
    scored = [truth for truth in truths if truth.img_id in readings and all_boxes_known(truth)]
    true_boxes = [(truth.img_id, plate.box_px) for truth in scored for plate in truth.plates if plate.box_px]
    boxes = [
        (truth.img_id, one.box_confidence, one.box_px)
        for truth in scored
        for one in readings[truth.img_id]
        if one.box_px is not None
    ]
    # In a fixed order: of boxes of one confidence, COCO takes the first one first.
    return average_precision(sorted(true_boxes), sorted(boxes), FOUND_IOU)


def all_boxes_known(truth: Known) -> bool:
    """Whether a box elsewhere on the photograph is a false one."""
    return truth.complete and all(plate.box_px is not None for plate in truth.plates)
