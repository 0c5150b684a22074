"""Plots of figures: which characters are taken for which, and how far the certainty can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lpr_e2e.common.lettering import font_families, font_files
from lpr_e2e.evaluation.calibration import reliability_bins
from lpr_e2e.evaluation.metrics import alignment

# What stands for a character that was missed, or read where there is none.
NONE = "-"


def confusion_plot(pairs: Iterable[tuple[str, str]], characters: str) -> np.ndarray:
    """Which true characters were read as which.

    Args:
        pairs: true text and text read.
        characters: those of the vocabulary, in their order.

    Returns:
        uint8 RGB `(h, w, 3)`: a row per true character, a column per character read, with counts; the last row and
        column are characters that are not there and characters that were missed.
    """
    found = Counter(pair for texts in pairs for pair in alignment(*texts))
    # A text of the truth may have characters that the model does not know.
    unknown = {character for pair in found for character in pair} - {*characters, ""}
    names = [*characters, *sorted(unknown), NONE]
    places = {name: index for index, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), int)
    for (true, read), count in found.items():
        counts[places[true or NONE], places[read or NONE]] += count
    wrong = counts * (1 - np.eye(len(names), dtype=int))
    side = 1.6 + 0.36 * len(names)
    figure, axes = new_figure(side, side)
    axes.imshow(wrong, cmap="Oranges", vmin=0, vmax=max(3, wrong.max()))
    for row, column in np.argwhere(counts):
        right = row == column
        axes.text(
            column,
            row,
            counts[row, column],
            ha="center",
            va="center",
            fontsize=8,
            color="#999999" if right else "black",
        )
    families = _families("".join(names))
    axes.set_xticks(range(len(names)), names, fontfamily=families)
    axes.set_yticks(range(len(names)), names, fontfamily=families)
    axes.set_xlabel("read")
    axes.set_ylabel("true")
    axes.set_title(f"{wrong.sum()} of {counts[:-1].sum()} characters wrong")
    return _picture(figure)


def calibration_plot(confidences: Sequence[float], right: Sequence[bool]) -> np.ndarray:
    """How often readings of one confidence are right.

    Args:
        confidences: 0..1, one per plate.
        right: whether the plate was read without an error.

    Returns:
        uint8 RGB `(h, w, 3)`: the share of right plates per bin of the confidence, with their number above.
    """
    figure, axes = new_figure(5.0, 4.0)
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    for one in reliability_bins(confidences, right):
        middle = (one.low + one.high) / 2
        axes.bar(middle, one.accuracy, 0.9 * (one.high - one.low), color="#4c9be8")
        axes.text(middle, one.accuracy + 0.02, one.count, ha="center", fontsize=8)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.1)
    axes.set_xlabel("confidence (honest: on the line)")
    axes.set_ylabel("share of plates right")
    return _picture(figure)


def shares_plot(shares: dict[str, float], title: str) -> np.ndarray:
    """Bars of named shares 0..1, largest first: uint8 RGB `(h, w, 3)`."""
    ordered = sorted(shares.items(), key=lambda item: item[1])
    figure, axes = new_figure(7.0, 1.0 + 0.35 * len(ordered))
    names = [name for name, _ in ordered]
    axes.barh(names, [share for _, share in ordered], color="#4c9be8")
    for row, (_, share) in enumerate(ordered):
        axes.text(share, row, f" {share:.1%}", va="center", fontsize=8)
    axes.set_xlim(0, 1.15 * max(shares.values(), default=1))
    axes.set_title(title)
    return _picture(figure)


def new_figure(width: float, height: float):
    """A figure of its own, without pyplot's global state, and its axes; inches of 100 pixels."""
    figure = Figure((width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _families(characters: str) -> list[str]:
    """Font families that show these characters, matplotlib's own first."""
    own = set(font_manager.get_font(font_manager.findfont(font_manager.FontProperties())).get_charmap())
    lacking = "".join(character for character in characters if ord(character) not in own)
    for path in font_files(lacking):
        font_manager.fontManager.addfont(path)
    return ["sans-serif", *font_families(lacking)]


def _picture(figure: Figure) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
