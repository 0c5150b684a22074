"""What a data set is made of, whatever form its labels had: photographs with any number of plates, and plate crops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lpr_e2e.common.boxes import aspect
from lpr_e2e.data.problems import Problem

# A plate fills its box, so that it lies straight in it, if the box is not much less long for its height than a long one
# of the data: three quarters of the boxes are no longer than the long one. The box of a tilted plate is nearly square.
_LONG_QUANTILE, _STRAIGHT_SHARE = 0.75, 0.785


@dataclass(frozen=True)
class Plate:
    """A plate on a photograph.

    Attributes:
        box_px: its box, yxyx, pixels of the decoded photograph.
        text: what it says; None if unknown.
        turns: `numpy.rot90(photograph, turns)` puts it upright; None if unknown.
    """

    box_px: tuple[float, float, float, float]
    text: str | None = None
    turns: int | None = None

    @property
    def is_readable(self) -> bool:
        """Whether it can be shown upright together with its text."""
        return self.text is not None and self.turns is not None


@dataclass(frozen=True)
class Photograph:
    """A photograph with all of its plates that somebody labelled; none, if it is known to show none.

    Attributes:
        img_id: its name.
        path: its file.
        plates: in the order of the labels.
        complete: whether no further plate is on it; else there may be some that nobody labelled.
        origin: the name of the data set it is of, where several are trained on; else "".
    """

    img_id: str
    path: Path
    plates: tuple[Plate, ...]
    complete: bool = True
    origin: str = ""


@dataclass(frozen=True)
class Crop:
    """A plate crop with its text.

    Attributes:
        img_id, path, origin: as of `Photograph`.
        text: what it says.
        turns: `numpy.rot90(crop, turns)` puts it upright; None if unknown.
    """

    img_id: str
    path: Path
    text: str
    turns: int | None
    origin: str = ""


# A plate among all of a data set: its set (`photograph`, `crop`), the img_id, and its place among the plates of its
# photograph, the first being 0, as it is for every crop.
PlateKey = tuple[str, str, int]


@dataclass(frozen=True)
class ReadablePlate:
    """A plate of a photograph, or a crop, that can be shown upright together with its text.

    Attributes:
        key: which one it is.
        path: the picture's file.
        box_px: its box, yxyx, pixels of the picture; None: the whole picture.
        text, turns: as of `Plate`, both known.
    """

    key: PlateKey
    path: Path
    box_px: tuple[float, float, float, float] | None
    text: str
    turns: int


def readable_plates(photographs: Iterable[Photograph], crops: Iterable[Crop]) -> Iterator[ReadablePlate]:
    """The plates with a text whose way up is known, those of photographs first."""
    for one in photographs:
        for number, plate in enumerate(one.plates):
            if plate.text is not None and plate.turns is not None:
                key = ("photograph", one.img_id, number)
                yield ReadablePlate(key, one.path, plate.box_px, plate.text, plate.turns)
    for crop in crops:
        if crop.turns is not None:
            yield ReadablePlate(("crop", crop.img_id, 0), crop.path, None, crop.text, crop.turns)


@dataclass
class Dataset:
    """What to train on, what is held out, the faults found, and plain sentences about what was held out and why.

    `withheld` are the texts, as `lpr_e2e.data.split.same_plate_key` gives them, that are held out or excluded: no
    picture may be trained on with one of them. `drawn_sets` are the origins whose pictures are drawn.
    """

    photographs: list[Photograph]
    crops: list[Crop]
    validation_photographs: list[Photograph]
    validation_crops: list[Crop]
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    withheld: frozenset[str] = frozenset()
    drawn_sets: frozenset[str] = frozenset()

    def pictures(self) -> Iterator[tuple[str, str, Photograph | Crop]]:
        """Every picture, after its set ("photographs" or "crops") and its side ("train" or "held")."""
        for side, photographs, crops in (
            ("train", self.photographs, self.crops),
            ("held", self.validation_photographs, self.validation_crops),
        ):
            yield from (("photographs", side, one) for one in photographs)
            yield from (("crops", side, one) for one in crops)

    def by_set(self) -> dict[str, Dataset]:
        """The data sets that it was joined from, by name; only itself, if it is one."""
        names = sorted(self.origins())
        if len(names) <= 1:
            return {name: self for name in names or [""]}

        def of(name: str, pictures: list) -> list:
            return [one for one in pictures if one.origin == name]

        return {
            name: replace(
                self,
                photographs=of(name, self.photographs),
                crops=of(name, self.crops),
                validation_photographs=of(name, self.validation_photographs),
                validation_crops=of(name, self.validation_crops),
            )
            for name in names
        }

    def img_ids(self, of: str) -> set[str]:
        """img_ids of the "photographs" or "crops" of both sides."""
        return {one.img_id for name, _, one in self.pictures() if name == of}

    def straight_aspect(self) -> float:
        """Longer by shorter side from which on a plate of this data fills its box."""
        aspects = [aspect(plate.box_px) for one in self.photographs for plate in one.plates]
        return _STRAIGHT_SHARE * float(np.quantile(aspects, _LONG_QUANTILE)) if aspects else 1.0

    def most_plates(self) -> int:
        """The most plates on one photograph, at least 1."""
        return max([1, *(len(one.plates) for one in [*self.photographs, *self.validation_photographs])])

    def training_texts(self) -> list[str]:
        """Every text that is trained on, as often as a plate or crop has it."""
        plates = [plate for one in self.photographs for plate in one.plates]
        return [one.text for one in [*self.crops, *plates] if one.text]

    def texts_of_photographs(self) -> list[str]:
        """Those of `training_texts` that are of photographs and not drawn; all, if there are only drawn ones.

        How well a form of texts is read that was only ever drawn, nothing that is held out tells.
        """
        taken = [part for part in self.by_set().values() if not part.origins() <= self.drawn_sets]
        return [text for part in taken for text in part.training_texts()] or self.training_texts()

    def origins(self) -> set[str]:
        """The names of the data sets that its pictures are of."""
        return {one.origin for _, _, one in self.pictures()}

    def summary(self) -> str:
        """A few lines for people: counts, notes, and the number of problems of each kind."""
        plates = [plate for one in self.photographs for plate in one.plates]
        with_text = sum(plate.text is not None for plate in plates)
        empty = sum(not one.plates for one in self.photographs)
        kinds = Counter(problem.kind for problem in self.problems)
        return "\n".join(
            [
                f"To train on: {len(self.photographs)} photographs with {len(plates)} plates, {with_text} of them with "
                f"a text, and {len(self.crops)} crops."
                + (f" {empty} of the photographs show no plate." if empty else ""),
                f"Held out: {len(self.validation_photographs)} photographs and {len(self.validation_crops)} crops.",
                *self.notes,
                *(f"Problems: {count} x {kind}." for kind, count in sorted(kinds.items())),
            ]
        )
