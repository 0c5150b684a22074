"""Which pictures are held out for validation, so that no plate is both trained on and scored on.

Photographs, their plates and crops are known here by their numbers in `lpr_e2e.data.matching.Compared`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lpr_e2e.common.terminal import many
from lpr_e2e.data.groups import connected
from lpr_e2e.data.matching import Compared

# So many plates with a text, and so many photographs, are held out where the set allows it: fewer choose an epoch by
# chance. Of a small set the share that is drawn grows up to this one, as most of it has to be trained on.
FEWEST_WANTED, GREATEST_SHARE = 30, 0.25
# Fewer than these measure nothing: none is held out then.
FEWEST_HELD = 5
# Different texts that stay in training with every character and every length, or all that there are.
TEXTS_KEPT = 2


@dataclass(frozen=True)
class Split:
    """What is held out, and what may not be used.

    Attributes:
        held_photographs, held_crops: numbers of the pictures that are held out.
        unusable_crops: numbers of crops that neither side may use.
        withheld_plates: (photograph, plate) of those to train on as a photograph with a box, but without a text.
        readings_on_photographs: plates with a text on the photographs that are held out.
        readings_on_crops: further plates, on crops that are held out and cut from none of these.
        notes: what to say of it, a sentence each.
    """

    held_photographs: frozenset[int] = frozenset()
    held_crops: frozenset[int] = frozenset()
    unusable_crops: frozenset[int] = frozenset()
    withheld_plates: frozenset[tuple[int, int]] = frozenset()
    readings_on_photographs: int = 0
    readings_on_crops: int = 0
    notes: list[str] = field(default_factory=list)


def same_plate_key(text: str) -> str:
    """A text as it is compared: blanks and case make no other plate."""
    return "".join(text.split()).casefold()


def split_by_table(compared: Compared, held_texts: Iterable[str] = ()) -> Split:
    """Hold out what the labels hold out, and with it every crop with one of its texts, or cut from one of its plates.

    Photographs to train on that show a held-out plate (by its text, by a crop cut from it, or as a near twin) stay, but
    without its text. A crop cut from a held-out plate that has another text is mislabelled: it would teach the plate,
    wrongly, so it is unusable.

    Args:
        compared: the pictures.
        held_texts: further texts to hold out: of pictures that were to be held out, but cannot be used.
    """
    texts = _own_texts(compared)
    photographs = frozenset(number for number, one in enumerate(compared.photographs) if one.labelled.held)
    crops = {number for number, one in enumerate(compared.crops) if one.labelled.held}
    keys = {key for (photograph, _), key in texts.items() if photograph in photographs}
    keys |= {same_plate_key(text) for text in held_texts}
    cut_from_unread = {
        match.crop
        for match in compared.matches
        if match.photograph in photographs and (match.photograph, match.plate) not in texts
    }
    while True:
        keys |= {same_plate_key(compared.crops[number].row.text) for number in crops}
        by_text = {number for number, one in enumerate(compared.crops) if same_plate_key(one.row.text) in keys}
        if by_text | cut_from_unread <= crops:
            break
        crops |= by_text | cut_from_unread
    near = {number for pair in compared.twins if not photographs.isdisjoint(pair) for number in pair}
    family = {plate for plate in _every_plate(compared) if plate[0] in photographs | near or texts.get(plate) in keys}
    family |= {(match.photograph, match.plate) for match in compared.matches if match.crop in crops}
    unusable = {match.crop for match in compared.matches if (match.photograph, match.plate) in family}
    unusable |= {number for pair in compared.crop_twins if not crops.isdisjoint(pair) for number in pair}
    unusable -= crops
    withheld = frozenset(plate for plate in family if plate[0] not in photographs)
    on_photographs, on_crops = _readings(compared, photographs, crops)
    notes = [
        f"Held out as the labels say: {many(len(photographs), 'photograph')} with {many(on_photographs, 'plate')} to "
        f"read, and {many(len(crops), 'crop')}, {on_crops} of them cut from none of these photographs.",
    ]
    if unusable:
        notes.append(f"Left out: {many(len(unusable), 'crop')} of held-out plates under another text.")
    linked = {(match.photograph, match.plate) for match in compared.matches}
    with_text = sum(plate in texts or plate in linked for plate in withheld)
    if with_text:
        notes.append(f"Boxes to train on without their text, as that is held out: {with_text}.")
    return Split(photographs, frozenset(crops), frozenset(unusable), withheld, on_photographs, on_crops, notes)


def draw_split(compared: Compared, seed: int, share: float) -> Split:
    """Hold out about `share` of the plates with a text, and of the other photographs, drawn in whole groups.

    Of a small set it is more, see `FEWEST_WANTED`, and of a tiny one nothing, see `FEWEST_HELD`.
    A group is what hangs together by an equal text on a crop or on any plate of a photograph, by a near twin, or by a
    crop cut from a photograph. Groups with photographs, with crops alone, with boxes alone and without any plate are
    drawn for themselves, so that each kind is on both sides. What few texts have stays in training, see `TEXTS_KEPT`.
    """
    if share <= 0:
        return Split(notes=["Nothing is held out, as asked: nothing is measured."])
    groups = _groups(compared)
    order = [groups[index] for index in np.random.default_rng(seed).permutation(len(groups))]
    staying = _Staying(groups)
    readings = sum(group.readings for group in groups)
    to_read = _greatest(share, readings)
    held: list[_Group] = []
    for with_photographs in (True, False):
        kind = [group for group in order if group.readings and bool(group.photographs) == with_photographs]
        held += _drawn(kind, [group.readings for group in kind], to_read, staying)
    notes = []
    if sum(group.readings for group in held) < FEWEST_HELD:
        held = []
        if readings:
            notes.append(
                f"No plate with a text is held out: of {readings} in {many(_count(groups), 'group')} of one plate each "
                f"fewer than {FEWEST_HELD} could be spared, which measure nothing. All are trained on."
            )
    elif to_read > share:
        notes.append(f"With {readings} plates with a text, {to_read:.0%} of them are drawn instead of {share:.0%}.")
    unread: list[_Group] = []
    to_find = _greatest(share, len(compared.photographs))
    for with_plates in (True, False):
        kind = [group for group in order if not group.readings and group.has_plates == with_plates]
        unread += _drawn(kind, [len(group.photographs) for group in kind], to_find, staying)
    if sum(len(group.photographs) for group in held + unread) >= FEWEST_HELD:
        held += unread
    return _drawn_split(compared, held, seed, notes)


@dataclass(frozen=True)
class _Group:
    """Pictures that hang together: their numbers, how many plates with a text they show, and which texts."""

    photographs: tuple[int, ...]
    crops: tuple[int, ...]
    has_plates: bool
    readings: int
    texts: frozenset[str]


class _Staying:
    """What stays in training while groups are held out: texts with each character and length, and pictures."""

    def __init__(self, groups: Sequence[_Group]):
        self._all = self._marks(groups)
        self._left = Counter(self._all)

    def can_spare(self, group: _Group) -> bool:
        """Whether enough stays without a group."""
        return all(
            self._left[mark] - count >= min(TEXTS_KEPT if mark[0] in ("character", "length") else 1, self._all[mark])
            for mark, count in self._marks([group]).items()
        )

    def spare(self, group: _Group) -> None:
        """Hold a group out."""
        self._left -= self._marks([group])

    @staticmethod
    def _marks(groups: Iterable[_Group]) -> Counter[tuple]:
        """How many different texts have each character and each length, and how many pictures there are of each kind.

        A text is in one group only.
        """
        marks: Counter[tuple] = Counter()
        for group in groups:
            for text in group.texts:
                marks.update(("character", character) for character in set(text))
                marks["length", len(text)] += 1
            marks["crops",] += len(group.crops)
            marks["photographs", group.has_plates] += len(group.photographs)
        return +marks


def _greatest(share: float, count: int) -> float:
    """The share to draw of so many plates with a text, or photographs: as asked, or more of a small set."""
    return max(share, min(GREATEST_SHARE, FEWEST_WANTED / max(count, 1)))


def _drawn(groups: Sequence[_Group], weights: Sequence[int], share: float, staying: _Staying) -> list[_Group]:
    """The first of these groups that have room within a share of all, and can be spared; at least one if possible."""
    total, taken = sum(weights), 0
    held = []
    for group, weight in zip(groups, weights, strict=True):
        if taken + weight <= share * total and staying.can_spare(group):
            staying.spare(group)
            held.append(group)
            taken += weight
    if not held:
        for weight, group in sorted(zip(weights, groups, strict=True), key=lambda pair: pair[0]):
            if weight <= GREATEST_SHARE * total and staying.can_spare(group):
                staying.spare(group)
                return [group]
    return held


def _drawn_split(compared: Compared, held: Sequence[_Group], seed: int, notes: list[str]) -> Split:
    photographs = frozenset(number for group in held for number in group.photographs)
    crops = frozenset(number for group in held for number in group.crops)
    on_photographs, on_crops = _readings(compared, photographs, crops)
    if held:
        said = (
            f"Held out, drawn with seed {seed}: {many(len(photographs), 'photograph')} with "
            f"{many(on_photographs, 'plate')} to read, and {many(len(crops), 'crop')}, {on_crops} of them cut from "
            "none of these photographs. No plate text and no near twin is on both sides."
        )
    else:
        said = "Nothing is held out: there are too few different plates to measure anything by."
    return Split(photographs, crops, frozenset(), frozenset(), on_photographs, on_crops, [said, *notes])


def _groups(compared: Compared) -> list[_Group]:
    """All pictures in the groups that `draw_split` tells of."""
    own = _own_texts(compared)
    links = [(("photograph", match.photograph), ("crop", match.crop)) for match in compared.matches]
    links += [(("photograph", first), ("photograph", second)) for first, second in compared.twins]
    links += [(("crop", first), ("crop", second)) for first, second in compared.crop_twins]
    links += [(("photograph", photograph), ("text", key)) for (photograph, _), key in own.items()]
    links += [(("crop", number), ("text", same_plate_key(one.row.text))) for number, one in enumerate(compared.crops)]
    nodes = [("photograph", number) for number in range(len(compared.photographs))]
    nodes += [("crop", number) for number in range(len(compared.crops))]
    groups = []
    for members in connected(nodes, links):
        photographs = tuple(number for kind, number in members if kind == "photograph")
        crops = tuple(number for kind, number in members if kind == "crop")
        plates = [row for number in photographs for row in compared.photographs[number].plates]
        texts = {row.text for row in plates if row.text} | {compared.crops[number].row.text for number in crops}
        # One spelling of each text, so that it counts once.
        distinct = {same_plate_key(text): text for text in sorted(texts)}
        readings = sum(_readings(compared, photographs, crops))
        groups.append(_Group(photographs, crops, bool(plates), readings, frozenset(distinct.values())))
    return groups


def _readings(compared: Compared, photographs: Iterable[int], crops: Iterable[int]) -> tuple[int, int]:
    """Plates with a text on these photographs, and crops that are cut from none of these photographs."""
    photographs, crops = set(photographs), set(crops)
    plates, cut = set(), set()
    for number in photographs:
        plates |= {(number, index) for index, row in enumerate(compared.photographs[number].plates) if row.text}
    for crop in crops:
        found = [place for place in compared.plates_of(crop) if place[0] in photographs]
        plates |= set(found)
        cut |= {crop} if found else set()
    return len(plates), len(crops - cut)


def _own_texts(compared: Compared) -> dict[tuple[int, int], str]:
    """The texts of plates that are labelled with one, as they are compared, by (photograph, plate)."""
    return {
        (number, index): same_plate_key(row.text)
        for number, one in enumerate(compared.photographs)
        for index, row in enumerate(one.plates)
        if row.text
    }


def _every_plate(compared: Compared) -> list[tuple[int, int]]:
    return [(number, index) for number, one in enumerate(compared.photographs) for index in range(len(one.plates))]


def _count(groups: Sequence[_Group]) -> int:
    return sum(group.readings > 0 for group in groups)
