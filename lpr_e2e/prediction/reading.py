"""A reading: one plate of a photograph as the model sees it, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lpr_e2e.common.boxes import Letterbox, intersection_over_union
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.prediction.format_rule import FormatRule

# Boxes that the model believes in less than this are no plates.
BOX_THRESHOLD = 0.3
# Two boxes that overlap by this much are one plate, found twice.
SAME_PLATE_IOU = 0.3
# A reading whose weakest character is less certain than this is more likely wrong than right.
CERTAINTY_THRESHOLD = 0.5
# Nor is one believed whose text and box are not both likely: of 700 windows beside the plates of training photographs,
# 11 gave a text with at least the certainty above, and one of them with at least this product.
SURENESS_THRESHOLD = 0.4
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = ("img_id", "text", "confidence", "ymin", "xmin", "ymax", "xmax", "box_confidence", "status")


@dataclass(frozen=True)
class Reading:
    """One plate of a photograph, or the reason why there is none.

    Attributes:
        img_id: the photograph's name.
        text: what the plate says; empty if nothing was read.
        confidence: probability of the weakest character, the end of the text included; 0 if nothing was read.
        box_px: yxyx in pixels of the photograph (after EXIF rotation), or None if there is no plate.
        box_confidence: how sure the model is that there is a plate; below `BOX_THRESHOLD` there is none.
        status: `ok`, `uncertain` (confidence below `CERTAINTY_THRESHOLD`, or its product with `box_confidence` below
            `SURENESS_THRESHOLD`), `no plate`, or `unreadable: REASON`.
        characters: float `(slots, classes)` probabilities behind the text, or None if there is no plate.
        certainties: the probability of each character of the text and of its end, see `Vocabulary.decode`.
        glimpse: uint8 RGB `(height, width, 3)`, the window in which the plate was read, upright; None if the model
            does not give it.
        attention: float `(slots, rows, columns)`, where each slot looked in the glimpse; None likewise.
    """

    img_id: str
    text: str = ""
    confidence: float = 0.0
    box_px: tuple[float, float, float, float] | None = None
    box_confidence: float = 0.0
    status: str = "no plate"
    characters: np.ndarray | None = field(default=None, repr=False, compare=False)
    certainties: tuple[float, ...] = field(default=(), repr=False, compare=False)
    glimpse: np.ndarray | None = field(default=None, repr=False, compare=False)
    attention: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def certainty(self) -> tuple[float, float]:
        """What orders the plates of a photograph: the certainty of box and text together, then that of the box."""
        return self.box_confidence * self.confidence, self.box_confidence

    def row(self) -> list[str]:
        """The values of `COLUMNS`, as they are written to `predictions.csv`."""
        box = ["" for _ in range(4)] if self.box_px is None else [f"{value:.1f}" for value in self.box_px]
        # A spreadsheet would take some names for formulas. The same file has a name that none does.
        img_id = f"./{self.img_id}" if self.img_id.startswith(_FORMULAS) else self.img_id
        return [img_id, self.text, f"{self.confidence:.4f}", *box, f"{self.box_confidence:.4f}", self.status]


def is_sure(confidence, box_confidence):
    """Whether a plate's text is believed: numbers, numpy arrays or TensorFlow tensors of one shape, both 0..1."""
    return (confidence >= CERTAINTY_THRESHOLD) & (confidence * box_confidence >= SURENESS_THRESHOLD)


def to_reading(
    img_id: str,
    characters: np.ndarray,
    box_px: tuple[float, float, float, float],
    box_confidence: float,
    vocabulary: Vocabulary,
    rule: FormatRule | None = None,
    **details: np.ndarray,
) -> Reading:
    """The reading of one plate from its probabilities `(slots, classes)`; `details` are `glimpse` and `attention`."""
    text, certainties = rule.decode(characters, vocabulary) if rule else vocabulary.decode(characters)
    confidence = float(certainties.min()) if text else 0.0
    if not text:
        status = "unreadable: a plate without legible characters"
    else:
        status = "ok" if is_sure(confidence, box_confidence) else "uncertain"
    probabilities = tuple(float(value) for value in certainties)
    return Reading(
        img_id, text, confidence, box_px, box_confidence, status, characters, certainties=probabilities, **details
    )


def to_readings(
    outputs: dict, index: int, img_id: str, frame: Letterbox, vocabulary: Vocabulary, rule: FormatRule | None = None
) -> list[Reading]:
    """The readings of one photograph of a batch, the most certain first; never empty.

    The most certain plate is reported however doubtful it is; others only if they are `ok` and lie elsewhere.

    Args:
        outputs: what the model's `predict_on_batch` returned: `boxes_rel` `(B, K, 4)` yxyx, `box_confidence` `(B, K)`,
            `characters` `(B, K, slots, classes)`.
        index: the photograph's place in the batch.
        img_id: its name.
        frame: how it was laid into the canvas.
        vocabulary: the model's.
        rule: what texts should look like, or None.
    """
    confidences = np.asarray(outputs["box_confidence"][index], "float64")
    readings = []
    for plate in np.flatnonzero(confidences >= BOX_THRESHOLD):
        characters = np.asarray(outputs["characters"][index][plate])
        box_px = tuple(frame.to_px(outputs["boxes_rel"][index][plate]).tolist())
        details = {}
        if "glimpses" in outputs:
            details["glimpse"] = np.clip(outputs["glimpses"][index][plate], 0, 255).astype("uint8")
            details["attention"] = np.asarray(outputs["attention"][index][plate])
        readings.append(to_reading(img_id, characters, box_px, float(confidences[plate]), vocabulary, rule, **details))
    if not readings:  # The confidence of the best candidate says by how much the threshold was missed.
        return [Reading(img_id, box_confidence=float(np.nan_to_num(confidences).max(initial=0.0)))]
    return apart(readings)


def apart(readings: list[Reading]) -> list[Reading]:
    """The most certain reading, and of the others those that are `ok` and lie elsewhere; the most certain first."""
    readings = sorted(readings, key=lambda reading: reading.certainty, reverse=True)
    kept = readings[:1]
    for reading in readings[1:]:
        overlaps = [intersection_over_union(reading.box_px, other.box_px) for other in kept]
        if reading.status == "ok" and max(overlaps) < SAME_PLATE_IOU:
            kept.append(reading)
    return kept
