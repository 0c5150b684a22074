"""The report of a prediction: one HTML file with every photograph, its plates and how each character was read.

The file needs no network and no other file. The page itself is `report.html`; here its data is written into it as the
readings come, one small picture per photograph and plate. The page shows them by the hundred, so ten thousand
photographs are no burden. All that comes from outside (names of files, texts) is data to the page, never markup.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lpr_e2e.common.files import whole_file
from lpr_e2e.common.pages import STYLE, page_jpeg, thumbnail
from lpr_e2e.evaluation.calibration import risk_coverage
from lpr_e2e.prediction.reading import Reading, best_reading

if TYPE_CHECKING:
    from lpr_e2e.evaluation.scoring import Figures, Known

_PAGE = Path(__file__).with_name("report.html")
# Where the style of all pages goes, and the page's data.
_STYLE_MARK, _DATA_MARK = "/* style */", "<!-- data -->"


class ReportWriter:
    """Writes the report while photographs are read; to be used in a `with` statement, which completes the page.

    Args:
        path: the HTML file; an earlier one stays until this one is whole.
        title: what the page is called.
        truths: what photographs really show, by img_id, where known.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path, title: str, truths: Mapping[str, Known] | None = None):
        self.path = path
        self._truths = truths or {}
        page = _PAGE.read_text(encoding="utf-8").replace(_STYLE_MARK, STYLE)
        self._head, self._tail = page.split(_DATA_MARK)
        self._index: list[dict] = []
        self._about: dict = {"title": title}
        self._whole = contextlib.ExitStack()
        part = self._whole.enter_context(whole_file(path))
        self._file = self._whole.enter_context(part.open("w", encoding="utf-8", errors="backslashreplace"))
        self._file.write(self._head)

    def __enter__(self) -> ReportWriter:
        return self

    def __exit__(self, *_: object) -> None:
        with self._whole:
            self._file.write(_script("about", {**self._about, "index": self._index}))
            self._file.write(self._tail)

    def write(self, img_id: str, photograph: np.ndarray | None, readings: Sequence[Reading]) -> None:
        """Add one photograph.

        Args:
            img_id: its name.
            photograph: uint8 RGB `(h, w, 3)`, or None if it could not be decoded.
            readings: at least one, the most certain first.
        """
        truth = self._truths.get(img_id)
        best = best_reading(readings)
        entry = {"name": img_id, "status": best.status, "text": best.text, "confidence": round(best.confidence, 4)}
        if truth is not None and truth.text is not None:
            entry |= {"truth": truth.text, "right": best.text == truth.text}
        details: dict = {"plates": [_plate(reading) for reading in readings if reading.box_px is not None]}
        if photograph is not None:
            height, width = photograph.shape[:2]
            details |= {"picture": page_jpeg(thumbnail(photograph)), "height": height, "width": width}
            if truth is not None and truth.box_px is not None:
                details["true_box"] = [round(float(value), 1) for value in truth.box_px]
        self._file.write(_script(f"photograph-{len(self._index)}", details))
        self._index.append(entry)

    def add_figures(self, figures: Figures, readings: Mapping[str, Sequence[Reading]]) -> None:
        """Add the figures of the photographs whose truth is known, and their risk and coverage."""
        self._about["figures"] = [line.rsplit(None, 1) for line in figures.table().splitlines()]
        best = {img_id: best_reading(readings[img_id]) for img_id in self._truths if img_id in readings}
        self._about["risk"] = risk_coverage(
            [
                (reading.confidence, reading.text == self._truths[img_id].text)
                for img_id, reading in best.items()
                if self._truths[img_id].text is not None
            ]
        )


def _plate(reading: Reading) -> dict:
    plate = {
        "text": reading.text,
        "status": reading.status,
        "confidence": round(reading.confidence, 4),
        "box_confidence": round(reading.box_confidence, 4),
        "box": [round(float(value), 1) for value in reading.box_px or ()],
        "certainties": [round(value, 4) for value in reading.certainties],
    }
    if reading.glimpse is not None and reading.attention is not None:
        plate["glimpse"] = page_jpeg(reading.glimpse)
        plate["looks"] = [_spot(attention) for attention in reading.attention[: len(reading.certainties)]]
    return plate


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


def _script(name: str, data: dict) -> str:
    """A script element that holds data and runs nothing: no `<` can end it early."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>\n'
