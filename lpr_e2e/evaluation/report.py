"""The report of a prediction: one HTML file with every photograph, its plates and how each character was read.

The file needs no network and no other file. The page itself is `report.html`; here its data is written into it as the
readings come, one small picture per photograph and plate. The page shows them by the hundred, so ten thousand
photographs are no burden. All that comes from outside (names of files, texts) is data to the page, never markup.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lpr_e2e.common.files import whole_file
from lpr_e2e.common.pages import data_script, page_jpeg, page_of_cards, thumbnail
from lpr_e2e.evaluation.calibration import risk_coverage
from lpr_e2e.prediction.reading import Reading, best_reading

if TYPE_CHECKING:
    from lpr_e2e.evaluation.scoring import Figures
    from lpr_e2e.evaluation.truth import Known, KnownPlate

_PAGE = Path(__file__).with_name("report.html")


class ReportWriter:
    """Writes the report while photographs are read; to be used in a `with` statement, which completes the page.

    Args:
        path: the HTML file; an earlier one stays until this one is whole.
        title: what the page is called.
        truths: what photographs really show, by img_id, where known.
        promise: what the model promises of readings that are `ok`, a line for people.
        least_certainty: what a reading needs to be `ok`; shown where the truth is known.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        title: str,
        truths: Mapping[str, Known] | None = None,
        promise: str = "",
        least_certainty: float = 0.0,
    ):
        self.path = path
        self._truths = truths or {}
        self._head, self._tail = page_of_cards(_PAGE)
        self._index: list[dict] = []
        self._about: dict = {"title": title, "promise": promise, "bar": least_certainty}
        # What became of the readings, by status; of plates of known text, confidence and rightness.
        self._statuses: dict[str, Counter[str]] = {}
        self._answers: list[tuple[float, bool]] = []
        self._whole = contextlib.ExitStack()
        part = self._whole.enter_context(whole_file(path))
        self._file = self._whole.enter_context(part.open("w", encoding="utf-8", errors="backslashreplace"))
        self._file.write(self._head)

    def __enter__(self) -> ReportWriter:
        return self

    def __exit__(self, *_: object) -> None:
        with self._whole:
            statuses = [[status, dict(counts)] for status, counts in self._statuses.items()]
            self._file.write(data_script('id="about"', {**self._about, "statuses": statuses, "index": self._index}))
            self._file.write(self._tail)

    def write(self, img_id: str, photograph: np.ndarray | None, readings: Sequence[Reading]) -> None:
        """Add one photograph.

        Args:
            img_id: its name.
            photograph: uint8 RGB `(h, w, 3)`, or None if it could not be decoded.
            readings: at least one, the most certain first.
        """
        entry = {
            "name": img_id,
            "status": best_reading(readings).status,
            "statuses": sorted({_kind(reading) for reading in readings}),
            "texts": [reading.text for reading in readings if reading.text],
            # Of its plates the least certain: where a photograph has one that is doubtful, it is looked for by that.
            "confidence": round(min(reading.confidence for reading in readings), 4),
        }
        details: dict = {"plates": [_plate(one, photograph) for one in readings if one.box_px is not None]}
        truth = self._truths.get(img_id)
        if truth is not None:
            self._compare(truth, readings, photograph, entry, details)
        for reading in readings:
            counts = self._statuses.setdefault(_kind(reading), Counter())
            counts["readings"] += 1
        if photograph is not None:
            height, width = photograph.shape[:2]
            details |= {"picture": page_jpeg(thumbnail(photograph)), "height": height, "width": width}
        self._file.write(data_script(f'id="photograph-{len(self._index)}"', details))
        self._index.append(entry)

    def _compare(
        self, truth: Known, readings: Sequence[Reading], photograph: np.ndarray | None, entry: dict, details: dict
    ) -> None:
        """Add to the page's data of a photograph what it really shows, and whether that was read."""
        from lpr_e2e.evaluation.matching import match  # Late: only for photographs whose truth is known.

        matched = match(truth, readings)
        known = [one for one in matched.outcomes if one.plate.text]
        right = [one.is_right for one in known]
        false = [one for one in matched.rest if one.status == "ok" and truth.complete]
        if right or false or (truth.complete and not truth.plates):
            entry["right"] = all(right) and not false
        entry["truths"] = [one.plate.text for one in known]
        details["true_boxes"] = [_numbers(plate.box_px) for plate in truth.plates if plate.box_px is not None]
        details["missed"] = [_missed(one.plate, photograph) for one in matched.outcomes if one.reading is None]
        shown = iter(details["plates"])
        for reading in readings:
            plate = next(shown) if reading.box_px is not None else {}
            outcome, counts = matched.of(reading), self._statuses.setdefault(_kind(reading), Counter())
            if outcome is None:
                if truth.complete and reading.box_px is not None:
                    plate["false"] = True
                    counts["nowhere"] += 1
            elif outcome.plate.text:
                plate["truth"] = outcome.plate.text
                counts["right" if outcome.is_right else "wrong"] += 1
        self._answers += [(one.confidence, one.is_right) for one in known]

    def add_figures(self, figures: Figures) -> None:
        """Add the figures of the photographs whose truth is known, and their risk and coverage."""
        self._about["figures"] = figures.rows()
        self._about["risk"] = risk_coverage(self._answers)


def _kind(reading: Reading) -> str:
    """The status without its reason."""
    return reading.status.split(":")[0]


def _numbers(box_px: Sequence[float]) -> list[float]:
    return [round(float(value), 1) for value in box_px]


def _plate(reading: Reading, photograph: np.ndarray | None) -> dict:
    plate: dict = {
        "text": reading.text,
        "status": reading.status,
        "confidence": round(reading.confidence, 4),
        "box_confidence": round(reading.box_confidence, 4),
        "box": _numbers(reading.box_px or ()),
        "certainties": [round(value, 4) for value in reading.certainties],
    }
    if reading.glimpse is not None and reading.attention is not None:
        plate["glimpse"] = page_jpeg(reading.glimpse)
        plate["looks"] = [_spot(attention) for attention in reading.attention[: len(reading.certainties)]]
    elif reading.box_px is not None:
        plate |= _cut(photograph, reading.box_px)
    return plate


def _missed(plate: KnownPlate, photograph: np.ndarray | None) -> dict:
    """A plate that was not found: its text, if known, and what it looks like."""
    text = {"text": plate.text} if plate.text else {}
    return text if plate.box_px is None else {**text, **_cut(photograph, plate.box_px)}


def _cut(photograph: np.ndarray | None, box_px: Sequence[float]) -> dict:
    """What a photograph shows in a box, as the page holds it; nothing if it shows nothing there."""
    if photograph is None:
        return {}
    top, left = (max(0, int(np.floor(value))) for value in box_px[:2])
    part = photograph[top : int(np.ceil(box_px[2])), left : int(np.ceil(box_px[3]))]
    return {"cut": page_jpeg(thumbnail(part))} if part.size else {}


def _spot(attention: np.ndarray) -> list[float]:
    """Centre and spread of one slot's attention `(rows, columns)`, as shares of height and width: y, x, dy, dx."""
    weights = np.maximum(np.asarray(attention, "float64"), 0)
    weights = weights / max(weights.sum(), 1e-12)
    spot = []
    for axis in (0, 1):
        places = (np.arange(weights.shape[axis]) + 0.5) / weights.shape[axis]
        along = weights.sum(1 - axis)
        middle = float((along * places).sum())
        spot.append((middle, float(np.sqrt((along * (places - middle) ** 2).sum()))))
    return [round(value, 3) for value in (spot[0][0], spot[1][0], spot[0][1], spot[1][1])]
