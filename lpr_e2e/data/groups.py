"""Groups of what hangs together by pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence


def connected(nodes: Sequence, links: Iterable[tuple[Hashable, Hashable]]) -> list[list]:
    """The nodes in groups that links connect (union-find), in their order; other nodes of links only connect."""
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
