"""The closer look: parts of a photograph, in which small plates are larger. A step of `lpr_e2e.prediction.driver`.

It is taken where no plate is read with certainty, where all are so small that there may be more, further away, and
where there are several, or as many as one look gives.

* Of an **ordinary photograph**, four overlapping parts are looked at as it was itself: 1 to 3 of the procedure.
* A **large photograph** has pixels that its canvas has not. Plates are *looked for* in many tiles of it. What they show
  is pooled: a plate is in several tiles, and most of what may be one is none. Only then each is *looked at* again and
  read, once, in a canvas of its own, cut around it. So is what the whole photograph showed, if it is small there.

An ordinary photograph with one plate that is near is not looked at more closely, and costs what it costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lpr_e2e.common import parts, steps

if TYPE_CHECKING:
    from lpr_e2e.prediction.driver import Driver

# All of a frame, rel yxyx.
_WHOLE = np.array([0, 0, 1, 1], "float32")
_FOUND = ("boxes_px", "box_confidence", "turns", "tilts")


class CloserLook:
    """Looks closer, where that is worth it.

    Args:
        driver: that finds and reads; its numbers count as they are at the time of each call.
    """

    def __init__(self, driver: Driver):
        self.driver, self.arrays, self.xp = driver, driver.arrays, driver.xp

    def report(self, photograph, whole, plates: dict, kept, believed) -> dict:
        """What to report of a photograph, see `lpr_e2e.prediction.driver.Driver.read`.

        Args:
            photograph, whole: the photograph, and how it lies in its canvas.
            plates: what was seen of it, in order, as `Driver.judged` gives it.
            kept: a mask: what is to be reported unless parts of the photograph show more.
            believed: a mask: what of this is read with certainty.
        """
        xp, procedure, arrays = self.xp, self.driver.procedure, self.arrays
        sides = arrays.sides(photograph)
        near = _longer(plates["boxes_px"], xp) >= procedure.distant_plate * xp.max(whole.to_px(_WHOLE))
        looked = xp.logical_not(xp.any(xp.logical_and(believed, near)))
        if procedure.part_plates and procedure.plates > 1:
            looked = xp.logical_or(looked, xp.all(believed))
        sure = xp.logical_or(believed, xp.logical_and(kept, plates["box_confidence"] > procedure.sure_plate))
        looked = xp.logical_or(looked, xp.sum(steps.cast(sure, "int32", xp)) > procedure.spared_plates)
        is_large = parts.is_large(sides, procedure, xp)

        def joined(seen: dict) -> dict:
            return self._joined(seen, plates, kept, believed, sure, is_large)

        def ordinary() -> dict:
            return arrays.when(
                looked,
                lambda: joined(self._in_corners(photograph, whole, sides)),
                lambda: arrays.select(plates, kept),
            )

        return arrays.when(is_large, lambda: joined(self._in_tiles(photograph, whole, sides, plates, looked)), ordinary)

    def _joined(self, seen: dict, before: dict, kept_before, believed_before, sure_before, is_large) -> dict:
        """What was certain before, as a text or as a plate, and what is of `seen`, each plate once; if there is none,
        what was kept before."""
        xp, procedure, arrays = self.xp, self.driver.procedure, self.arrays
        places = arrays.choose(seen["box_confidence"] >= procedure.box_threshold)
        seen = _taken(seen, places, xp)
        seen, believed = self.driver.judged(seen, seen["boxes_px"])
        certain = xp.logical_and(believed, seen["confidence"] >= procedure.closer_certainty)
        certain = xp.logical_or(certain, seen["box_confidence"] > procedure.sure_plate)
        stays = xp.concatenate([sure_before, certain])
        plates = {name: xp.concatenate([before[name], values]) for name, values in seen.items()}
        # What was read before stays as it was. Of a large photograph, the more certain reading stays.
        is_before = xp.concatenate([believed_before, xp.zeros_like(certain)])
        comes_later = xp.where(xp.logical_and(is_before, xp.logical_not(is_large)), 0, 1)
        order = self._order(plates)
        order = xp.take(order, steps.stable_order(xp.take(comes_later, order), xp))
        order = xp.take(order, arrays.choose(xp.take(stays, order)))
        plates = _taken(plates, order, xp)
        stay = xp.ones_like(plates["confidence"]) > 0
        plates = _taken(plates, arrays.choose(steps.apart(plates["boxes_px"], stay, procedure, xp)), xp)
        plates = _taken(plates, self._order(plates), xp)
        found = xp.ones_like(plates["confidence"]) > 0
        return arrays.when(
            xp.any(found), lambda: arrays.select(plates, found), lambda: arrays.select(before, kept_before)
        )

    def _order(self, plates: dict):
        return steps.in_order(plates["confidence"], plates["box_confidence"], self.xp)

    def _in_corners(self, photograph, whole, sides) -> dict:
        """The plates of the four parts, `(4 * plates_of_part, ...)`, with their `boxes_px` in the photograph."""
        xp, procedure, driver = self.xp, self.driver.procedure, self.driver
        places = parts.corners(sides, procedure, xp)
        canvases, frames = self._views(photograph, places, driver.description.canvas_size)
        seen = driver.look(canvases, False, procedure.closer_further_confidence, procedure.plates_of_part)
        return self._of_photograph(seen, places, frames, whole)

    def _in_tiles(self, photograph, whole, sides, plates: dict, looked) -> dict:
        """The plates of a large photograph, each looked at around its place: `(n, ...)`.

        Args:
            photograph, whole, plates: as in `report`.
            sides: of the photograph.
            looked: whether plates are looked for in its tiles; if not, only what is small on its canvas is looked at.
        """
        xp, procedure, arrays = self.xp, self.driver.procedure, self.arrays
        places = arrays.when(
            looked,
            lambda: {"tiles": parts.all_tiles(sides, procedure, xp)},
            lambda: {"tiles": arrays.zeros((0, 4), "int64")},
        )["tiles"]
        found = arrays.each(
            places, lambda some: self._found(photograph, whole, some), self._nothing(procedure.plates_of_part)
        )
        # On the canvas smaller than in a glimpse.
        share = self._glimpse_share()
        small = _longer(plates["boxes_px"], xp) < share * xp.max(whole.to_px(_WHOLE))
        small = xp.logical_and(small, plates["box_confidence"] >= procedure.box_threshold)
        worth = xp.concatenate([small, found["box_confidence"] >= procedure.tile_confidence])
        pool = {name: xp.concatenate([plates[name], found[name]]) for name in _FOUND}
        pool = _taken(pool, arrays.choose(worth), xp)
        pool = _taken(pool, steps.stable_order(-pool["box_confidence"], xp), xp)
        stay = xp.ones_like(pool["box_confidence"]) > 0
        once = arrays.choose(steps.apart(pool["boxes_px"], stay, procedure, xp))
        nothing = self._nothing(1) | self.driver.nothing_read(1)
        return arrays.each(once, lambda some: self._around(photograph, sides, _taken(pool, some, xp)), nothing)

    def _found(self, photograph, whole, places) -> dict:
        """What tiles `(b, 4)`, b static, show: `(b * plates_of_part, ...)` of `_FOUND`."""
        count, description = self.driver.procedure.plates_of_part, self.driver.description
        scenes, frames = self._views(photograph, places, description.scene_size)
        found = self.driver.find(self.arrays.scenes(scenes, 1), count)
        found = self._of_photograph(found, places, frames, whole)
        return {name: found[name] for name in _FOUND}

    def _around(self, photograph, sides, plates: dict) -> dict:
        """Plates `(b, ...)` of `_FOUND`, b static, looked at again and read, each in a canvas cut around it."""
        xp, driver = self.xp, self.driver
        places = parts.around(plates["boxes_px"], sides, self._glimpse_share(), driver.procedure, xp)
        canvases, frames = self._views(photograph, places, driver.description.canvas_size)
        corners = steps.cast(places[:, :2], "float32", xp)
        corners = xp.concatenate([corners, corners], axis=-1)
        own_px = plates["boxes_px"] - corners
        plates = {name: plates[name] for name in ("box_confidence", "turns", "tilts")}
        plates["boxes_rel"] = xp.concatenate([one.to_rel(own_px[i : i + 1]) for i, one in enumerate(frames)])
        seen = driver.study(canvases, plates, 1)
        if driver.procedure.doubt:
            seen = driver.read_in_doubt(canvases, seen, 1, driver.procedure.tile_doubt)
        boxes_px = [frame.to_px(seen["boxes_rel"][index : index + 1]) for index, frame in enumerate(frames)]
        del seen["boxes_rel"]
        return {**seen, "boxes_px": xp.concatenate(boxes_px) + corners}

    def _glimpse_share(self) -> float:
        """The share of its canvas that a plate takes if the canvas has as many pixels of it as a glimpse."""
        return self.driver.description.glimpse_size[1] / self.driver.description.canvas_size

    def _nothing(self, count: int) -> dict:
        """Of so many plates, `_FOUND`."""
        shapes: dict[str, tuple[int, ...]] = {"boxes_px": (count, 4), "turns": (count, 4)}
        return {name: self.arrays.zeros(shapes.get(name, (count,))) for name in _FOUND}

    def _views(self, photograph, places, size: int) -> tuple[Any, list]:
        """Parts `(b, 4)`, b static, letterboxed: uint8 `(b, size, size, 3)`, and their frames."""
        arrays, grey = self.arrays, self.driver.procedure.letterbox_grey
        views = [
            arrays.letterbox(arrays.crop(photograph, places[index]), size, grey) for index in range(places.shape[0])
        ]
        return self.xp.concatenate([canvas for canvas, _ in views]), [frame for _, frame in views]

    def _of_photograph(self, seen: dict, places, frames, whole) -> dict:
        """What was seen in parts `(b, 4)`, as many plates in each, with `boxes_px` in pixels of the photograph.

        What a part's edge cuts off is no plate.
        """
        xp, count = self.xp, seen["box_confidence"].shape[0] // len(frames)
        boxes_px, is_whole = [], []
        for index, frame in enumerate(frames):
            # Whole numbers, which arrays add exactly; tensors of two kinds are not added.
            corner = places[index, :2] if xp is np else xp.cast(places[index, :2], "float32")
            own = frame.to_px(seen["boxes_rel"][index * count : (index + 1) * count])
            is_whole.append(self._is_whole(own, corner, frame, whole))
            boxes_px.append(own + xp.concatenate([corner, corner]))
        box_confidence = xp.where(xp.concatenate(is_whole), seen["box_confidence"], 0.0)
        return {**seen, "boxes_px": xp.concatenate(boxes_px), "box_confidence": box_confidence}

    def _is_whole(self, boxes_px, corner, frame, whole):
        """Whether plates of a part, `(n, 4)` in its pixels, do not end where it was cut from the photograph: `(n,)`.

        What is cut off in one part is whole in another one, or too large to be missed.
        """
        xp, sides = self.xp, frame.to_px(_WHOLE)[2:]
        edge = self.driver.procedure.part_edge * xp.max(sides)
        # Where a part ends with the photograph, nothing was cut off.
        above = xp.logical_and(boxes_px[:, :2] < edge, corner > 0)
        below = xp.logical_and(boxes_px[:, 2:] > sides - edge, corner + sides + 0.5 < whole.to_px(_WHOLE)[2:])
        beside = boxes_px[:, 2:] <= boxes_px[:, :2]  # On the canvas, but not on the photograph.
        return xp.logical_not(xp.any(above | below | beside, axis=-1))


def _longer(boxes, xp):
    """The longer sides `(n,)` of boxes `(n, 4)`."""
    return xp.max(boxes[:, 2:] - boxes[:, :2], axis=-1)


def _taken(values: dict, places, xp) -> dict:
    """Of all values `(n, ...)` those at the places `(m,)`."""
    return {name: xp.take(one, places, axis=0) for name, one in values.items()}
