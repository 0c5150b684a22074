"""Figures with their uncertainty, for all photographs and for kinds of them: small plates, dark ones, long texts.

A figure of 159 photographs is a guess at the figure of all photographs. The intervals say how good a guess:
bootstrap (Efron 1979) over plates, so that several photographs of one plate do not count as independent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lpr_e2e.common.boxes import intersection_over_union
from lpr_e2e.common.errors import UserError
from lpr_e2e.data.split import same_plate_key
from lpr_e2e.evaluation.metrics import Known, Look, best_reading, edit_distance
from lpr_e2e.prediction.reading import Reading

RESAMPLES, CONFIDENCE = 2000, 0.95
_FIGURES = ("plates_right", "characters_right", "edit_distance", "mean_iou")
_TITLES = ("plates right", "characters right", "edit distance", "mean IoU")


def _between(value: float, steps: Sequence[float], unit: str) -> str:
    """The interval of `steps` that holds the value, in words."""
    index = int(np.searchsorted(steps, value, side="right"))
    if index == 0:
        return f"below {steps[0]:g}{unit}"
    return (
        f"{steps[index - 1]:g}{unit} or more"
        if index == len(steps)
        else f"{steps[index - 1]:g} to {steps[index]:g}{unit}"
    )


# Each kind: a title, and what a photograph is by its true text, its look, and whether its text was trained on; each of
# these may be None.
_KINDS: dict[str, Callable] = {
    "plate width": lambda text, look, seen: look and _between(look.width, (80, 120, 180), " px"),
    "box, longer by shorter side": lambda text, look, seen: look and _between(look.aspect, (2.2, 3.4), ""),
    "brightness of the plate": lambda text, look, seen: look and _between(look.brightness, (50, 100, 150), ""),
    "characters": lambda text, look, seen: text and str(len(text)),
    "number": lambda text, look, seen: None if seen is None else "trained on" if seen else "never seen",
}


def slices(
    truths: Sequence[Known],
    readings: Mapping[str, Sequence[Reading]],
    looks: Mapping[str, Look],
    trained_texts: Collection[str] | None = None,
) -> pd.DataFrame:
    """Figures of all photographs and of each kind.

    Args:
        truths: what is known, one per photograph; those without readings are left out.
        readings: the readings of every photograph, by img_id.
        looks: what the true plates look like, by img_id, where known.
        trained_texts: the texts that the model was trained on, or None if they are unknown.

    Returns:
        One row per kind: `slice`, `kind`, `photographs`, and `plates_right`, `characters_right`, `edit_distance`
        (normalised by the longer text, 0..1) and `mean_iou`, each with `_low` and `_high`: the ends of its 95 %
        interval. NaN where no truth allows a figure.
    """
    trained = None if trained_texts is None else {same_plate_key(text) for text in trained_texts}
    outcomes = pd.DataFrame([_outcome(truth, readings, looks, trained) for truth in truths if truth.img_id in readings])
    if outcomes.empty:
        return pd.DataFrame()
    rows = [{"slice": "all", "kind": "", **_figures(outcomes)}]
    for kind in _KINDS:
        known = outcomes[outcomes[kind].astype(bool)]
        for value, part in sorted(known.groupby(kind), key=lambda pair: _in_order(pair[0])):
            rows.append({"slice": kind, "kind": value, **_figures(part)})
    return pd.DataFrame(rows)


def _in_order(name: str) -> tuple[float, str]:
    """Sorts `below 80 px` before `80 to 120 px` before `180 px or more`."""
    first = next((float(word) for word in name.split() if word.replace(".", "").isdigit()), 0.0)
    return (first - 0.5 if name.startswith("below") else first), name


def _outcome(truth: Known, readings, looks: Mapping[str, Look], trained: Collection[str] | None) -> dict:
    reading, text = best_reading(readings[truth.img_id]), truth.text
    outcome: dict = {"length": 0, "plate": truth.img_id if text is None else same_plate_key(text)}
    if text is not None:
        edits = edit_distance(text, reading.text)
        outcome |= {
            "plates_right": float(reading.text == text),
            "characters_right": max(0, len(text) - edits),
            "length": len(text),
            "edit_distance": edits / max(len(text), len(reading.text), 1),
        }
    if truth.box_px is not None:
        found = reading.box_px
        outcome["mean_iou"] = 0.0 if found is None else float(intersection_over_union(found, truth.box_px))
    seen = None if trained is None or text is None else same_plate_key(text) in trained
    kinds = {title: kind(text, looks.get(truth.img_id), seen) or "" for title, kind in _KINDS.items()}
    return {**outcome, **kinds}


def _figures(outcomes: pd.DataFrame) -> dict:
    """Figures and intervals of some outcomes. A figure is a ratio of sums, so a resample is a weighting of plates."""
    plates = outcomes["plate"].astype("category").cat.codes.to_numpy()
    count = plates.max() + 1
    weights = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    figures: dict = {"photographs": len(outcomes)}
    for name in _FIGURES:
        values = outcomes.get(name, pd.Series(np.nan, outcomes.index)).to_numpy("float64")
        sizes = outcomes["length"].to_numpy("float64") if name == "characters_right" else np.ones(len(values))
        known = ~np.isnan(values)
        above = np.bincount(plates[known], values[known], count)
        below = np.bincount(plates[known], sizes[known], count)
        figures[name] = above.sum() / below.sum() if below.sum() else np.nan
        drawn = weights @ below
        ratios = (weights @ above)[drawn > 0] / drawn[drawn > 0]
        ends = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]) if len(ratios) else (np.nan, np.nan)
        figures[f"{name}_low"], figures[f"{name}_high"] = (float(end) for end in ends)
    return figures


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table of `slices`, intervals in brackets."""
    lines = [f"| | photographs | {' | '.join(_TITLES)} |", "| --- " * (2 + len(_TITLES)) + "|"]
    for row in table.to_dict("records"):
        cells = [f"{row['slice']}: {row['kind']}" if row["kind"] else row["slice"], str(row["photographs"])]
        for name in _FIGURES:
            form = "{:.1%}" if name.endswith("right") else "{:.3f}"
            ends = (form.format(row[name + end]) for end in ("_low", "_high"))
            cells.append("-" if np.isnan(row[name]) else f"{form.format(row[name])} ({' to '.join(ends)})")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write(table: pd.DataFrame, figures: dict, path: Path) -> None:
    """Write figures and slices to `path`: Markdown if it ends in `.md`, JSON if it ends in `.json`.

    Raises:
        ValueError: another ending.
    """
    if path.suffix == ".md":
        named = "\n".join(f"- {name}: {value:.4f}" for name, value in figures.items())
        text = f"{named}\n\n{markdown(table)}\n"
    elif path.suffix == ".json":
        rows = json.loads(table.to_json(orient="records"))  # NaN becomes null.
        text = json.dumps({"figures": figures, "slices": rows}, indent=2) + "\n"
    else:
        raise UserError(f"{path}: expected a name that ends in .md or .json")
    path.write_text(text, encoding="utf-8")
