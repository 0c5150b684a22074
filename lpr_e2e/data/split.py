"""Which pictures are held out for validation, so that no plate is both trained on and scored on.

Photographs and crops are known here by their number in `lpr_e2e.data.matching.Compared`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lpr_e2e.data.matching import Compared, near_twins
from lpr_e2e.data.tables import Table


@dataclass(frozen=True)
class Split:
    """Numbers of the photographs and crops that are held out, and of crops that neither side may use."""

    held_photographs: set[int]
    held_crops: set[int]
    unusable_crops: set[int]


def same_plate_key(text: str) -> str:
    """A text as it is compared: blanks and case make no other plate."""
    return "".join(text.split()).casefold()


def split_by_table(compared: Compared, validation: Table) -> Split:
    """Hold out the photographs that a validation table names, and with them every crop that has one of its texts.

    A crop that is cut from a photograph of a held-out plate, but has another text, is mislabelled: it would teach a
    held-out plate, wrongly, so it is unusable. No crop that is left to train on is cut from such a photograph.
    """
    held_ids = {values["img_id"] for _, values in validation.records}
    keys = {same_plate_key(values["text"]) for _, values in validation.records}
    photographs = {number for number, one in enumerate(compared.photographs) if one.row.img_id in held_ids}
    crops = {number for number, one in enumerate(compared.crops) if same_plate_key(one.row.text) in keys}
    # Photographs that show a held-out plate: named, or one of its crops is cut from them, or a near twin of these.
    family = photographs | {match.photograph for match in compared.matches if match.crop in crops}
    for first, second in compared.twins:
        if first in photographs or second in photographs:
            family |= {first, second}
    cut_from_them = {match.crop for match in compared.matches if match.photograph in family}
    return Split(photographs, crops, cut_from_them - crops)


def draw_split(compared: Compared, seed: int, share: float) -> Split:
    """Hold out about `share` of all pictures, drawn in whole groups of one plate.

    A group is what hangs together by an equal text, a near twin, or a crop cut from a photograph. At least one
    photograph is held out, and at least one photograph and one crop stay, where the groups allow it.
    """
    groups = _groups_of_one_plate(compared)
    order = np.random.default_rng(seed).permutation(len(groups))
    room = share * sum(map(len, groups))
    staying = Counter(kind for group in groups for kind, _ in group)
    held: list = []

    def hold(group: list) -> None:
        """Hold a group out, unless it has the last photograph or the last crop."""
        left = staying - Counter(kind for kind, _ in group)
        if left["photograph"] and left["crop"]:
            held.extend(group)
            staying.subtract(kind for kind, _ in group)

    for group in (groups[index] for index in order):
        if len(held) + len(group) <= room:
            hold(group)
    # Photographs come first in a group.
    for group in sorted((groups[index] for index in order), key=len):
        if share > 0 and not any(kind == "photograph" for kind, _ in held) and group[0][0] == "photograph":
            hold(group)
    return Split(
        {number for kind, number in held if kind == "photograph"},
        {number for kind, number in held if kind == "crop"},
        set(),
    )


def _groups_of_one_plate(compared: Compared) -> list[list[tuple[str, int]]]:
    """All pictures, ("photograph", number) or ("crop", number), in the groups that `draw_split` tells of."""
    links = [(("photograph", match.photograph), ("crop", match.crop)) for match in compared.matches]
    links += [(("photograph", first), ("photograph", second)) for first, second in compared.twins]
    crop_twins = near_twins(np.stack([one.fingerprint.plate for one in compared.crops]))
    links += [(("crop", first), ("crop", second)) for first, second in crop_twins]
    links += [(("crop", number), ("text", same_plate_key(one.row.text))) for number, one in enumerate(compared.crops)]
    pictures = [("photograph", number) for number in range(len(compared.photographs))]
    pictures += [("crop", number) for number in range(len(compared.crops))]
    return _connected(pictures, links)


def _connected(nodes: Sequence, links: Iterable[tuple]) -> list[list]:
    """The nodes in groups that links connect (union-find); other nodes of links only connect."""
    leader: dict = {}

    def find(node):
        leader.setdefault(node, node)
        while leader[node] != node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    for first, second in links:
        leader[find(first)] = find(second)
    groups = defaultdict(list)
    for node in nodes:
        groups[find(node)].append(node)
    return list(groups.values())
