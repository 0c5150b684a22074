"""Every form of an exported model beside Keras: the same texts, the same certainty, and how many are right."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import tensorflow as tf
from tqdm import tqdm

from lpr_e2e.common.cores import available_cores
from lpr_e2e.export.forms import SAVED_MODEL
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.engines.loading import FORMS, load_drivers
from lpr_e2e.prediction.reader import PlateReader

# The text and the confidence of the most certain plate of a photograph file; an empty text if there is none.
Read = Callable[[Path], tuple[str, float]]


class ServedReader:
    """Reads photograph files with a `saved_model/`."""

    def __init__(self, folder: Path):
        self.loaded = tf.saved_model.load(folder)
        self.serve = self.loaded.signatures["serving_default"]

    def read(self, path: Path) -> tuple[str, float]:
        """Text and confidence of the most certain plate; an empty text if there is none."""
        answer = self.serve(tf.constant([path.read_bytes()]))
        return answer["texts"][0, 0].numpy().decode(), float(answer["confidence"][0, 0])


def compare(
    model: PlateModel, folder: Path, photographs: Sequence[Path], truths: Mapping[str, Collection[str]]
) -> list[dict[str, object]]:
    """Read photographs with every form and with Keras.

    Args:
        model: the model that was exported.
        folder: its exported forms.
        photographs: the files.
        truths: the texts of all plates of photographs, by file name; may be empty.

    Returns:
        one row per form: `form`, `bytes`, `same_texts` and `largest_difference` of the confidence (both against Keras,
        of the readings that Keras is certain of), `right` (share of the photographs with known texts whose most certain
        reading is one of them; None without).
    """
    rows, expected = [], []
    for form, (size, read) in _forms(model, folder).items():
        found = [read(path) for path in tqdm(photographs, desc=form, leave=False, disable=None)]
        expected = expected or found
        certain = [(one, other) for one, other in zip(expected, found, strict=True) if one[1] >= model.procedure.doubt]
        known = [(path, text) for path, (text, _) in zip(photographs, found, strict=True) if path.name in truths]
        rows.append(
            {
                "form": form,
                "bytes": size,
                "same_texts": sum(one[0] == other[0] for one, other in zip(expected, found, strict=True)),
                "photographs": len(photographs),
                "largest_difference": max((abs(one[1] - other[1]) for one, other in certain), default=0.0),
                "right": sum(text in truths[path.name] for path, text in known) / len(known) if known else None,
            }
        )
    return rows


def _forms(model: PlateModel, folder: Path) -> dict[str, tuple[int | None, Read]]:
    """How many bytes each form has, and what reads with it; Keras first."""
    forms: dict[str, tuple[int | None, Read]] = {"Keras": (None, _best(PlateReader.of(model)))}
    for form, (files, _, _) in FORMS.items():
        if all((folder / file).exists() for file in files):
            (driver,) = load_drivers(folder, 1, available_cores(), form)
            forms[form] = (sum((folder / file).stat().st_size for file in files), _best(PlateReader(driver)))
    if (folder / SAVED_MODEL).exists():
        size = sum(path.stat().st_size for path in (folder / SAVED_MODEL).rglob("*") if path.is_file())
        forms["SavedModel"] = (size, ServedReader(folder / SAVED_MODEL).read)
    return forms


def _best(reader: PlateReader) -> Read:
    def read(path: Path) -> tuple[str, float]:
        reading = reader.read(path)[0]
        return reading.text, reading.confidence

    return read


def table(rows: Sequence[Mapping], folder: Path) -> str:
    """The rows of `compare` for people."""
    lines = [f"{'form':<14}{'MB':>8}{'texts as Keras':>18}{'confidence':>14}{'right':>10}"]
    for row in rows:
        size = f"{row['bytes'] / 1e6:.2f}" if row["bytes"] else ""
        same = f"{row['same_texts']} of {row['photographs']}"
        right = "" if row["right"] is None else f"{row['right']:.1%}"
        lines.append(f"{row['form']:<14}{size:>8}{same:>18}{row['largest_difference']:>14.4f}{right:>10}")
    lines.append("confidence: largest difference from Keras, where Keras is certain")
    lines.append(f"written to {folder}")
    return "\n".join(lines)
