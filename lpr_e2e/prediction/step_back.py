"""The step back: a photograph once more as if from further away, with room around it. A step of `driver`.

A picture of a plate alone, such as a detector's crop, shows it larger than the finder knows plates, and as if it went
on beyond the picture; or each half of it is taken for a plate. So where what may be a plate fills the picture, the
canvas is looked at again, shrunk and in the midst of grey. A plate that is found there and fills the picture is the
only one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lpr_e2e.common import steps

if TYPE_CHECKING:
    from lpr_e2e.prediction.driver import Driver


def step_back(driver: Driver, photograph, canvas, frame, seen: dict) -> dict:
    """The plates of a photograph; of one that a plate fills this plate alone, as it is seen from further away.

    Args:
        driver: that finds and reads; its `step_back` and `filling_plate` count.
        photograph: `(h, w, 3)`.
        canvas: the same letterboxed, `(1, canvas_size, canvas_size, 3)`.
        frame: how, see `lpr_e2e.prediction.driver.Arrays.letterbox`.
        seen: what `Driver.look` gives of it, the most certain plate first.

    Returns:
        as `seen`.
    """
    xp, arrays, procedure = driver.xp, driver.arrays, driver.procedure
    if not procedure.step_back:
        return seen
    sides = arrays.sides(photograph)

    def fills(plates: dict, confidence: float):
        """Of plates `(n, ...)`: which fill the picture, if the model believes in them as much as this."""
        large = steps.fills(frame.to_px(plates["boxes_rel"]), sides, procedure, xp)
        return xp.logical_and(plates["box_confidence"] >= confidence, large)

    def looked() -> dict:
        size = canvas.shape[1]
        room = round(size * procedure.step_back / (1 + 2 * procedure.step_back))
        small, _ = arrays.letterbox(canvas[0], size - 2 * room, procedure.letterbox_grey)
        around = [[0, 0], [room, room], [room, room], [0, 0]]
        again = driver.look(xp.pad(small, around, constant_values=procedure.letterbox_grey), True, plates_each=1)
        boxes_rel = (again["boxes_rel"] * size - room) / (size - 2 * room)
        again = again | {"boxes_rel": steps.cast(boxes_rel, "float32", xp)}
        found = fills(again, procedure.box_threshold)
        place = arrays.choose(found)
        # The plate that fills the picture has nothing beside it.
        others = seen | {"box_confidence": xp.where(found, 0.0, seen["box_confidence"])}
        return {name: arrays.put(values, place, xp.take(again[name], place, axis=0)) for name, values in others.items()}

    return arrays.when(fills(seen, procedure.least_confidence)[0], looked, lambda: seen)
