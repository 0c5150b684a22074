"""A reading: one plate of a photograph as the model sees it, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lpr_e2e.common.files import as_cell, name_as_cell
from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.steps import is_sure, may_go_on
from lpr_e2e.common.text_forms import TextForms
from lpr_e2e.common.vocabulary import UNSEEN, Vocabulary, weakest
from lpr_e2e.prediction.format_rule import FormatRule

COLUMNS = ("img_id", "text", "confidence", "ymin", "xmin", "ymax", "xmax", "box_confidence", "status")


@dataclass(frozen=True)
class Reading:
    """One plate of a photograph, or the reason why there is none.

    Attributes:
        img_id: the photograph's name.
        text: what the plate says, with `UNSEEN` for what cannot be seen of it; empty if nothing was read.
        confidence: probability of the weakest character read, the end of the text included; less, see
            `Procedure.other_form`, if the text does not look as it should; 0 if nothing was read.
        box_px: yxyx in pixels of the photograph (after EXIF rotation), or None if there is no plate.
        box_confidence: how sure the model is that there is a plate; below `Procedure.box_threshold` there is none.
        status: `ok`, `uncertain`, `incomplete`, `illegible`, `no plate`, or `unreadable: REASON`, see `status_of` and
            the list in `prediction/README.md`.
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
        img_id = name_as_cell(self.img_id)
        return [img_id, as_cell(self.text), f"{self.confidence:.4f}", *box, f"{self.box_confidence:.4f}", self.status]


def to_reading(
    img_id: str,
    plate: dict[str, np.ndarray],
    vocabulary: Vocabulary,
    procedure: Procedure,
    rule: FormatRule | None = None,
    least_certainty: float = 0.0,
    forms: TextForms | None = None,
    sides: tuple[int, int] | None = None,
) -> Reading:
    """The reading of one plate.

    Args:
        img_id: the photograph's name.
        plate: `boxes_px` `(4,)`, `box_confidence`, `characters` `(slots, classes)`, and for people to look at, if the
            model gives them, `glimpses` and `attention`: one of the plates that `Driver.read` reports.
        vocabulary, procedure: the model's.
        rule: the user's format, or None.
        least_certainty: what a reading needs besides to be `ok`, see `lpr_e2e.common.promise`.
        forms: what texts look like without a user's format, or None.
        sides: height and width of the photograph; None of a picture that is cut to one plate.
    """
    characters = plate["characters"]
    text, certainties = rule.decode(characters, vocabulary) if rule else vocabulary.decode(characters)
    if not text.strip(UNSEEN):
        text, certainties = "", certainties[:0]
    confidence, box_confidence = weakest(text, certainties), float(plate["box_confidence"])
    expected = rule or forms
    if expected and not expected.fits(text):
        confidence *= procedure.other_form
    status = status_of(text, confidence, box_confidence, vocabulary.hole(characters), procedure)
    box_px = np.asarray(plate["boxes_px"])
    cut_off = sides is not None and bool(may_go_on(box_px, sides, procedure, np, vocabulary.unseen))
    if status == "ok" and (cut_off or confidence < least_certainty):
        status = "uncertain"
    top, left, bottom, right = (float(side) for side in plate["boxes_px"])
    return Reading(
        img_id,
        text,
        confidence,
        (top, left, bottom, right),
        box_confidence,
        status,
        characters,
        tuple(float(value) for value in certainties),
        np.clip(plate["glimpses"], 0, 255).astype("uint8") if "glimpses" in plate else None,
        plate.get("attention"),
    )


def status_of(text: str, confidence: float, box_confidence: float, hole: float, procedure: Procedure) -> str:
    """The status of a plate that was found.

    Args:
        text: what is legible of it.
        confidence, box_confidence: of its text and its box, 0..1.
        hole: see `Vocabulary.hole`.
        procedure: whose thresholds count.
    """
    if not text:
        return "illegible"
    if UNSEEN in text:
        return "incomplete"
    # Where a character may be covered, the one that was guessed there is not believed.
    sure = is_sure(confidence, box_confidence, procedure) and hole <= procedure.unseen_threshold
    return "ok" if sure else "uncertain"


def best_reading(readings: Sequence[Reading]) -> Reading:
    """The most certain reading of a photograph."""
    return max(readings, key=lambda reading: reading.certainty)
