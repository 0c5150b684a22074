"""Figures with their uncertainty, for all plates and for kinds of them: small ones, dark ones, long texts.

A figure of 159 plates is a guess at the figure of all plates. The intervals say how good a guess: bootstrap (Efron
1979) over numbers, so that several photographs of one plate do not count as independent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein

from lpr_e2e.data.split import same_plate_key
from lpr_e2e.evaluation.appearance import Appearance
from lpr_e2e.evaluation.intervals import CONFIDENCE
from lpr_e2e.evaluation.matching import Outcome, match
from lpr_e2e.evaluation.metrics import characters_right
from lpr_e2e.evaluation.truth import Known
from lpr_e2e.prediction.reading import Reading

RESAMPLES = 2000
# The figures of a slice, by the keys of its row, with their titles.
_TITLES = {
    "plates_right": "plate accuracy",
    "characters_right": "character accuracy",
    "edit_distance": "edit distance",
    "mean_iou": "mean IoU",
}


def _between(value: float | None, steps: Sequence[float], unit: str = "") -> str | None:
    """The interval of `steps` that holds the value, in words; None if there is no value."""
    if value is None:
        return None
    index = int(np.searchsorted(steps, value, side="right"))
    if index == 0:
        return f"below {steps[0]:g}{unit}"
    return (
        f"{steps[index - 1]:g}{unit} or more"
        if index == len(steps)
        else f"{steps[index - 1]:g} to {steps[index]:g}{unit}"
    )


def _kinds(text: str | None, appearance: Appearance | None, seen: bool | None) -> dict[str, str | None]:
    """What a plate is, by slice; None where that is unknown.

    Args:
        text: its true text, if known.
        appearance: what it looks like, if known.
        seen: whether its text was trained on, if known.
    """
    width, aspect, brightness = None, None, None
    if appearance is not None:
        width, aspect, brightness = appearance.width, appearance.aspect, appearance.brightness
    return {
        "plate width": _between(width, (80, 120, 180), " px"),
        "box, longer by shorter side": _between(aspect, (2.2, 3.4)),
        "brightness of the plate": _between(brightness, (50, 100, 150)),
        "characters": str(len(text)) if text else None,
        "number": None if seen is None else "trained on" if seen else "never seen",
    }


@dataclass(frozen=True)
class _Part:
    """What one plate adds to the figures.

    Attributes:
        number: the same for all photographs of one number.
        shares: of each figure that the truth allows, what the plate adds above and below the fraction line.
        kinds: what the plate is, see `_kinds`.
    """

    number: str
    shares: dict[str, tuple[float, float]]
    kinds: dict[str, str | None]


def slices(
    truths: Sequence[Known],
    readings: Mapping[str, Sequence[Reading]],
    appearances: Mapping[str, Sequence[Appearance | None]],
    trained_texts: Collection[str] | None = None,
) -> list[dict]:
    """Figures of all labelled plates and of each kind.

    Args:
        truths: what is known, one per photograph; those without readings are left out.
        readings: the readings of every photograph, by img_id.
        appearances: what the plates of a photograph look like, in the order of the truth, by img_id, where known.
        trained_texts: the texts that the model was trained on, or None if they are unknown.

    Returns:
        One row per kind: `slice`, `kind`, `plates`, and `plates_right`, `characters_right`, `edit_distance`
        (normalised by the longer text, 0..1) and `mean_iou`, each with `_low` and `_high`: the ends of its 95 %
        interval. None where no truth allows a figure.
    """
    trained = None if trained_texts is None else {same_plate_key(text) for text in trained_texts}
    parts = []
    for truth in truths:
        if truth.img_id in readings:
            outcomes = match(truth, readings[truth.img_id]).outcomes
            looks = appearances.get(truth.img_id, [None] * len(outcomes))
            parts += [_part(one, look, trained) for one, look in zip(outcomes, looks, strict=True)]
    if not parts:
        return []
    rows = [{"slice": "all", "kind": "", **_figures(parts)}]
    for slice_name in parts[0].kinds:
        by_kind: dict[str, list[_Part]] = {}
        for part in parts:
            kind = part.kinds[slice_name]
            if kind is not None:
                by_kind.setdefault(kind, []).append(part)
        for kind in sorted(by_kind, key=_in_order):
            rows.append({"slice": slice_name, "kind": kind, **_figures(by_kind[kind])})
    return rows


def _in_order(name: str) -> tuple[float, str]:
    """Sorts `below 80 px` before `80 to 120 px` before `180 px or more`."""
    first = next((float(word) for word in name.split() if word.replace(".", "").isdigit()), 0.0)
    return (first - 0.5 if name.startswith("below") else first), name


def _part(outcome: Outcome, appearance: Appearance | None, trained: Collection[str] | None) -> _Part:
    text = outcome.plate.text or None
    shares: dict[str, tuple[float, float]] = {}
    if text is not None:
        shares["plates_right"] = (float(outcome.is_right), 1.0)
        shares["characters_right"] = (float(characters_right(text, outcome.text)), float(len(text)))
        shares["edit_distance"] = (Levenshtein.normalized_distance(text, outcome.text), 1.0)
    if outcome.iou is not None:
        shares["mean_iou"] = (outcome.iou, 1.0)
    seen = None if trained is None or text is None else same_plate_key(text) in trained
    number = outcome.img_id if text is None else same_plate_key(text)
    return _Part(number, shares, _kinds(text, appearance, seen))


def _figures(parts: Sequence[_Part]) -> dict:
    """Figures and intervals of some plates. A figure is a ratio of sums, so a resample is a weighting of numbers."""
    names, numbers = np.unique([part.number for part in parts], return_inverse=True)
    count = len(names)
    weights = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    figures: dict = {"plates": len(parts)}
    for name in _TITLES:
        shares = np.array([part.shares.get(name, (0.0, 0.0)) for part in parts])
        above, below = (np.bincount(numbers, column, count) for column in shares.T)
        figures[name] = figures[f"{name}_low"] = figures[f"{name}_high"] = None
        if below.any():
            drawn = weights @ below
            ratios = (weights @ above)[drawn > 0] / drawn[drawn > 0]
            ends = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
            figures[name] = float(above.sum() / below.sum())
            figures[f"{name}_low"], figures[f"{name}_high"] = map(float, ends)
    return figures


def markdown(table: Sequence[Mapping]) -> str:
    """A Markdown table of `slices`, intervals in brackets."""
    lines = [f"| | plates | {' | '.join(_TITLES.values())} |", "| --- " * (2 + len(_TITLES)) + "|"]
    for row in table:
        cells = [f"{row['slice']}: {row['kind']}" if row["kind"] else row["slice"], str(row["plates"])]
        for name in _TITLES:
            form = "{:.1%}" if name.endswith("right") else "{:.3f}"
            values = [row[key] for key in (name, f"{name}_low", f"{name}_high")]
            figure, low, high = ("" if value is None else form.format(value) for value in values)
            cells.append(f"{figure} ({low} to {high})" if figure else "-")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
