"""Engines: what runs the two networks of a model. Each gives two functions; all else is `lpr_e2e.prediction.driver`.

To add one, write a module with a class that has `find` and `read` (see `Engine`) and a function `load`, and name it in
`loading`.
"""

from __future__ import annotations

from typing import Any, Protocol


class Engine(Protocol):
    """The two networks of a model. Arrays are numpy's, unless the driver builds a graph."""

    def find(self, scenes: Any) -> dict[str, Any]:
        """Find plates.

        Args:
            scenes: `(batch, scene_size, scene_size, 3)` RGB, 0..255; uint8 if they are numpy's.

        Returns:
            over the n cells of each scene: `objectness` logits `(batch, n)`, `cell_boxes` `(batch, n, 4)` yxyx, 0..1 of
            the scene, `cell_turns` logits `(batch, n, 4)` and `cell_tilts` `(batch, n)`, radians: see
            `lpr_e2e.model.box_head.box_head`.
        """
        ...

    def read(self, glimpses: Any) -> dict[str, Any]:
        """Read plates.

        Args:
            glimpses: `(batch, height, width, 3)` RGB, 0..255; uint8 if they are numpy's.

        Returns:
            `logits` `(batch, slots, classes)` and `attention` `(batch, slots, rows, columns)`.
        """
        ...
