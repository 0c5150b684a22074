"""Labels that the model has added to the data itself, and their file in the run folder. See `labelling`."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lpr_e2e.common.architecture import MOST_TILT
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import as_cell, csv_lines, from_cell, read_file, whole_file
from lpr_e2e.data.samples import Photograph, Plate, PlateKey
from lpr_e2e.drawing.letters import Looks

_COLUMNS = ("set", "img_id", "plate", "text", "turns", "cuts", "tilt")


@dataclass(frozen=True)
class PseudoLabels:
    """What the model added.

    Attributes:
        readings: of plates of photographs without a text, the text and the quarter turns that put it upright.
        cuts: where to cut a plate between characters that can change places: for each number, or word of letters, the
            index of its first character in the text, and `(n + 1,)` cuts around its n characters, in widths of the
            upright plate's box from its left edge, rising.
        tilts: of plates of photographs, radians by which the upright plate is turned clockwise.
        letters: of each data set, by its name, what characters look like on its plates, see `letterforms`. They have a
            file of their own.
    """

    readings: dict[PlateKey, tuple[str, int]] = field(default_factory=dict)
    cuts: dict[PlateKey, list[tuple[int, np.ndarray]]] = field(default_factory=dict)
    tilts: dict[PlateKey, float] = field(default_factory=dict)
    letters: dict[str, Looks] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write them as a CSV file, at once or not at all."""
        rows = [(*key, text, turns, "", "") for key, (text, turns) in self.readings.items()]
        rows += [(*key, "", "", "", f"{tilt:.4f}") for key, tilt in self.tilts.items()]
        for key, groups in self.cuts.items():
            cuts = "; ".join(" ".join([str(start), *(f"{cut:.4f}" for cut in cuts)]) for start, cuts in groups)
            rows.append((*key, "", "", cuts, ""))
        with whole_file(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            file.write(csv_lines([_COLUMNS, *([as_cell(str(value)) for value in row] for row in rows)]))

    @classmethod
    def load(cls, path: Path) -> PseudoLabels:
        """The labels that `save` wrote.

        Raises:
            ValueError: the file is damaged.
        """
        own = cls()
        try:
            # A name may hold whatever a line can end with.
            table = io.StringIO(read_file(path).decode("utf-8"), newline="")
            rows = csv.DictReader(table, strict=True)
            if not {"set", "img_id", "text"} <= set(rows.fieldnames or ()):
                raise ValueError("no columns")
            for cells in rows:
                row = {name: from_cell(cell) for name, cell in cells.items()}
                # Runs from before there were several plates on a photograph do not number them.
                key = row["set"], row["img_id"], _number(row.get("plate", 0))
                if row["text"]:
                    own.readings[key] = (row["text"], _number(row["turns"], 3))
                elif row["tilt"]:
                    own.tilts[key] = float(np.clip(_rising([row["tilt"]])[0], -MOST_TILT, MOST_TILT))
                else:
                    groups = [group.split() for group in row["cuts"].split(";")]
                    own.cuts[key] = [(_number(start), _rising(cuts)) for start, *cuts in groups]
        except (KeyError, ValueError, TypeError, AttributeError, csv.Error) as error:
            raise UserError(f"{path}: damaged ({error}); restore it, or start a new run with --weights") from error
        return own

    def applied(self, photographs: Sequence[Photograph]) -> list[Photograph]:
        """The photographs, with the texts and turns that were missing."""

        def plate_of(one: Photograph, number: int) -> Plate:
            plate, key = one.plates[number], ("photograph", one.img_id, number)
            if plate.text is not None or key not in self.readings:
                return plate
            text, turns = self.readings[key]
            return replace(plate, text=text, turns=turns)

        return [
            replace(one, plates=tuple(plate_of(one, number) for number in range(len(one.plates))))
            for one in photographs
        ]


def _number(written: str | int, most: float = math.inf) -> int:
    """A whole number from 0 on; a ValueError if it is none."""
    found = int(written)
    if not 0 <= found <= most:
        raise ValueError(f"{found}: expected a number from 0 to {most}")
    return found


def _rising(written: Sequence[str]) -> np.ndarray:
    """Finite numbers, none smaller than the one before; a ValueError if they are not."""
    found = np.array(written, "float64")
    if not len(found) or not np.isfinite(found).all() or (np.diff(found) < 0).any():
        raise ValueError(f"{' '.join(written)}: expected numbers that rise")
    return found
