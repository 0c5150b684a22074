"""Which pictures are held out for validation, so that no plate is both trained on and scored on.

Photographs and crops are known here by their number; `matches` and `twins` come from `matching`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lpr_e2e.data.matching import Match


@dataclass(frozen=True)
class HoldOut:
    """Numbers of the held-out photographs and crops, and of crops that neither side may use."""

    photographs: set[int]
    crops: set[int]
    unusable_crops: set[int]


def same_plate_key(text: str) -> str:
    """A text as it is compared: blanks and case make no other plate."""
    return "".join(text.split()).casefold()


def hold_out_named(
    photographs: set[int],
    texts: Collection[str],
    crop_texts: Sequence[str],
    matches: Sequence[Match],
    twins: Iterable[tuple[int, int]],
) -> HoldOut:
    """Hold out these photographs, and with them every crop that has one of these texts.

    A crop that is cut from a photograph of a held-out plate, but has another text, is mislabelled: it would teach a
    held-out plate, wrongly, so it is unusable. No crop that is left to train on is cut from such a photograph.
    """
    keys = {same_plate_key(text) for text in texts}
    crops = {number for number, text in enumerate(crop_texts) if same_plate_key(text) in keys}
    # Photographs that show a held-out plate: named, or one of its crops is cut from them, or a near twin of these.
    family = photographs | {match.photograph for match in matches if match.crop in crops}
    for first, second in twins:
        if first in photographs or second in photographs:
            family |= {first, second}
    cut_from_them = {match.crop for match in matches if match.photograph in family}
    return HoldOut(photographs, crops, cut_from_them - crops)


def draw_hold_out(
    photographs: int,
    crop_texts: Sequence[str],
    matches: Iterable[Match],
    twins: Iterable[tuple[int, int]],
    crop_twins: Iterable[tuple[int, int]],
    seed: int,
    share: float,
) -> HoldOut:
    """Draw about `share` of all pictures, in whole groups of one plate.

    A group is what hangs together by an equal text, a near twin, or a crop cut from a photograph. At least one
    photograph is held out, and at least one photograph and one crop stay, where the groups allow it.
    """
    links = [(("photograph", match.photograph), ("crop", match.crop)) for match in matches]
    links += [(("photograph", first), ("photograph", second)) for first, second in twins]
    links += [(("crop", first), ("crop", second)) for first, second in crop_twins]
    links += [(("crop", number), ("text", same_plate_key(text))) for number, text in enumerate(crop_texts)]
    pictures = [("photograph", number) for number in range(photographs)]
    pictures += [("crop", number) for number in range(len(crop_texts))]
    groups = _connected(pictures, links)
    order = np.random.default_rng(seed).permutation(len(groups))
    room = share * len(pictures)
    staying = Counter(kind for kind, _ in pictures)
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
    return HoldOut(
        {number for kind, number in held if kind == "photograph"},
        {number for kind, number in held if kind == "crop"},
        set(),
    )


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
