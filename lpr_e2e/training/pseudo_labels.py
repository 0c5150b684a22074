"""Labels that the model has added to the data itself, and their file in the run folder. See `labelling`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lpr_e2e.common.architecture import MOST_TILT
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import whole_file
from lpr_e2e.data.samples import Photograph

_COLUMNS = ("set", "img_id", "text", "turns", "cuts", "tilt")


@dataclass(frozen=True)
class PseudoLabels:
    """What the model added.

    Attributes:
        readings: by the img_id of a photograph without a text, the text and the quarter turns that put it upright.
        cuts: by set (`photograph`, `crop`) and img_id, where to cut a plate between characters that can change places:
            for each number, or word of letters, the index of its first character in the text, and `(n + 1,)` cuts
            around its n characters, in widths of the upright plate's box from its left edge, rising.
        tilts: by the img_id of a photograph, radians by which the upright plate is turned clockwise.
    """

    readings: dict[str, tuple[str, int]] = field(default_factory=dict)
    cuts: dict[tuple[str, str], list[tuple[int, np.ndarray]]] = field(default_factory=dict)
    tilts: dict[str, float] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write them as a CSV file, at once or not at all."""
        rows = [("photograph", img_id, text, turns, "", "") for img_id, (text, turns) in self.readings.items()]
        rows += [("photograph", img_id, "", "", "", f"{tilt:.4f}") for img_id, tilt in self.tilts.items()]
        for (kind, img_id), groups in self.cuts.items():
            cuts = "; ".join(" ".join([str(start), *(f"{cut:.4f}" for cut in cuts)]) for start, cuts in groups)
            rows.append((kind, img_id, "", "", cuts, ""))
        with whole_file(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([_COLUMNS, *rows])

    @classmethod
    def load(cls, path: Path) -> PseudoLabels:
        """The labels that `save` wrote.

        Raises:
            ValueError: the file is damaged.
        """
        own = cls()
        try:
            for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines(), strict=True):
                if row["text"]:
                    own.readings[row["img_id"]] = (row["text"], int(row["turns"]))
                elif row["tilt"]:
                    own.tilts[row["img_id"]] = float(np.clip(float(row["tilt"]), -MOST_TILT, MOST_TILT))
                else:
                    groups = [group.split() for group in row["cuts"].split(";")]
                    own.cuts[row["set"], row["img_id"]] = [
                        (int(start), np.array(cuts, "float64")) for start, *cuts in groups
                    ]
        except (KeyError, ValueError, TypeError, AttributeError, csv.Error) as error:
            raise UserError(f"{path}: damaged ({error}); remove it, it is made again") from error
        return own

    def applied(self, photographs: Sequence[Photograph]) -> list[Photograph]:
        """The photographs, with the texts and turns that were missing."""
        return [
            Photograph(one.img_id, one.path, one.box_px, *self.readings[one.img_id])
            if one.text is None and one.img_id in self.readings
            else one
            for one in photographs
        ]
