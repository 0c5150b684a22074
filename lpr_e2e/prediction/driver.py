"""The reading procedure, the one place where it is written: from canvases to plates, over any engine.

1. **Find** the most certain plates in a small scene of the whole photograph.
2. **Look again** at each that may be one, in an upright window around it: there the plate is large, its box exact, and
   what only resembled a plate is told apart.
3. **Read** each plate in a glimpse cut from the canvas; unless that is certain, also at other scales.
4. **In doubt**, read it once more from all sides: at the likely quarter turns and at several tilts.
5. **Report** the most certain plate, and others that are certain and lie elsewhere. If not even the most certain one is
   believed, or all are so small that there may be more, further away, **look closer**: 1 to 3 once more in four
   overlapping parts of the photograph.

Every number of it is in the model's `Procedure`. The steps are pure functions of `lpr_e2e.common.steps`; what differs
between numpy and a graph (choosing places by a mask, cutting a window) is behind `Arrays`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from lpr_e2e.common import steps
from lpr_e2e.prediction.arrays import NumpyArrays
from lpr_e2e.prediction.description import Description
from lpr_e2e.prediction.engines import Engine

_SIDES = 4
# All of a frame, rel yxyx.
_WHOLE = np.array([0, 0, 1, 1], "float32")


class Arrays(Protocol):
    """What differs between arrays of numpy and tensors in a graph. Places are whole numbers that index an axis.

    Attributes:
        xp: the namespace that `lpr_e2e.common.steps` computes in: `numpy` or `keras.ops`.
        pixels: type of the windows that `cut` gives.
    """

    xp: Any
    pixels: str

    def choose(self, mask):
        """The places `(m,)` where a mask `(n,)` holds."""

    def none(self, places) -> bool:
        """Whether it is known that there are no places, so that nothing needs to be computed for them."""

    def put(self, values, places, new):
        """`values` `(n, ...)` with `new` `(m, ...)` at the places `(m,)`."""

    def zeros(self, shape: tuple[int, ...], dtype: str = "float32"):
        """Zeros of a shape."""

    def scenes(self, canvases, shrink: int):
        """Canvases `(b, side, side, 3)` shrunk by a whole factor: scenes `(b, side / shrink, side / shrink, 3)`."""

    def cut(self, canvases, images, boxes_rel, quarters, tilts, size, margin, samples: int, procedure):
        """Windows `(m, height, width, 3)`, 0..255: see `lpr_e2e.model.glimpse.cut_glimpses`.

        `images` `(m,)` say which canvas each is cut from; the others are `(m, ...)` as well. Without tilts, the windows
        are upright.
        """

    def letterbox(self, photograph, size: int, grey: int):
        """The canvas `(1, size, size, 3)` of a photograph, and its frame, whose `to_px(boxes_rel)` leads back."""

    def parts(self, photograph, share: float) -> list:
        """Four overlapping parts in the photograph's corners, each with the place of its corner `(2,)`, yx."""

    def when(self, condition, then: Callable[[], dict], otherwise: Callable[[], dict]) -> dict:
        """What `then` gives if the condition holds, else what `otherwise` gives; both give the same names."""

    def select(self, values: dict, kept) -> dict:
        """Of all values `(n, ...)` the rows that are kept, a mask `(n,)`."""


class Driver:
    """Reads canvases with an engine.

    Args:
        engine: the two networks.
        description: sizes, vocabulary, temperature and procedure of the model.
        arrays: numpy, unless a graph is built.

    Attributes:
        certainty: gives the certainty `(n,)` of characters `(n, slots, classes)`, see `lpr_e2e.common.steps`; replace
            it where more is known of the texts than the model knows.
    """

    def __init__(self, engine: Engine, description: Description, arrays: Arrays | None = None):
        self.engine, self.description = engine, description
        self.procedure, self.vocabulary = description.procedure, description.vocabulary
        self.arrays: Arrays = arrays or NumpyArrays()
        self.xp = self.arrays.xp
        self.certainty: Callable[[Any], Any] = lambda characters: steps.certainties(characters, self.xp)[0]

    def read(self, photographs: Sequence, canvases, frames: Sequence) -> list[dict]:
        """Read photographs.

        Args:
            photographs: each `(h, w, 3)`, uint8 RGB.
            canvases: the same letterboxed, uint8 `(b, canvas_size, canvas_size, 3)`.
            frames: how, see `Arrays.letterbox`.

        Returns:
            of each photograph the plates to report, the most certain first: `boxes_px` `(n, 4)` yxyx in pixels of the
            photograph, `box_confidence` `(n,)`, `confidence` `(n,)`, `characters` `(n, slots, classes)`, `attention`
            `(n, slots, rows, columns)` and `glimpses` `(n, height, width, 3)`; and `best_box_confidence`, a scalar: of
            the best candidate, plate or not.
        """
        seen = self.look(canvases, in_doubt=True)
        plates, answers = self.procedure.plates, []
        for index, (photograph, frame) in enumerate(zip(photographs, frames, strict=True)):
            own = {name: values[index * plates : (index + 1) * plates] for name, values in seen.items()}
            answers.append(self._reported(photograph, frame, own))
        return answers

    def read_glimpses(self, glimpses):
        """Calibrated probabilities of the characters, `(n, slots, classes)`, of glimpses `(n, height, width, 3)`."""
        return steps.softmax(self.engine.read(glimpses)["logits"] / self.description.temperature, self.xp)

    def look(self, canvases, in_doubt: bool = False, further_confidence: float | None = None) -> dict:
        """Find and read the plates of canvases.

        Args:
            canvases: uint8 `(b, canvas_size, canvas_size, 3)`, b static.
            in_doubt: whether plates that are read with doubt are read again from all sides.
            further_confidence: to use instead of the procedure's.

        Returns:
            for K plates of each canvas, `(b * K, ...)`: `boxes_rel`, `box_confidence`, `turns`, `tilts`, and where
            there is a plate `characters`, `attention` and `glimpses`; zeros elsewhere.
        """
        xp, procedure = self.xp, self.procedure
        found = self.engine.find(self.arrays.scenes(canvases, self.description.scene_shrink))
        found = steps.best_plates(found, procedure.plates, procedure, xp)
        count = canvases.shape[0] * procedure.plates
        plates = {name: xp.reshape(values, (count, *values.shape[2:])) for name, values in found.items()}
        is_best = np.arange(count) % procedure.plates == 0
        candidate = xp.logical_and(is_best, plates["box_confidence"] >= procedure.least_confidence)
        plates = self._look_again(canvases, plates, candidate)
        # If the best candidate has proved to be a plate, the others need more.
        proved = xp.repeat(plates["box_confidence"][:: procedure.plates] >= procedure.sure_confidence, procedure.plates)
        needed = procedure.further_confidence if further_confidence is None else further_confidence
        least = xp.where(proved, needed, procedure.least_confidence)
        further = xp.logical_and(np.logical_not(is_best), plates["box_confidence"] >= least)
        plates = self._look_again(canvases, plates, further)
        believed = plates["box_confidence"] >= procedure.box_threshold
        places = self.arrays.choose(xp.logical_and(xp.logical_or(candidate, further), believed))
        plates |= self._nothing_read(count)
        if self.arrays.none(places):
            return plates
        boxes_rel, turns, tilts = (xp.take(plates[name], places, axis=0) for name in ("boxes_rel", "turns", "tilts"))
        tilts = tilts * float(procedure.rectify)
        answers = self._read(canvases, places // procedure.plates, boxes_rel, xp.argmax(turns, axis=-1), tilts)
        plates |= {name: self.arrays.put(plates[name], places, values) for name, values in answers.items()}
        return self._read_in_doubt(canvases, plates) if in_doubt and procedure.doubt else plates

    def _nothing_read(self, count: int) -> dict:
        """What `_read` gives of plates that are not read."""
        zeros, slots, sizes = self.arrays.zeros, self.vocabulary.slots, self.description
        return {
            "characters": zeros((count, slots, self.vocabulary.classes)),
            "attention": zeros((count, slots, *sizes.grid_size)),
            "glimpses": zeros((count, *sizes.glimpse_size, 3), self.arrays.pixels),
        }

    def _look_again(self, canvases, plates: dict, mask) -> dict:
        """The plates, those of the mask seen a second time."""
        places = self.arrays.choose(mask)
        if not self.procedure.second_look or self.arrays.none(places):
            return plates
        xp, procedure, size = self.xp, self.procedure, (self.description.scene_size,) * 2
        first = {name: xp.take(values, places, axis=0) for name, values in plates.items()}
        windows = steps.second_windows(first["boxes_rel"], procedure, xp)
        quarters = xp.argmax(first["turns"], axis=-1)
        images = places // procedure.plates
        scenes = self.arrays.cut(canvases, images, windows, quarters, None, size, (0.0, 0.0), 1, procedure)
        again = steps.best_plates(self.engine.find(scenes), 1, procedure, xp)
        again = {name: values[:, 0] for name, values in again.items()}
        seen = steps.both_looks(first, again, windows, quarters, procedure, xp)
        return {name: self.arrays.put(values, places, seen[name]) for name, values in plates.items()}

    def _glimpses(self, canvases, images, boxes_rel, quarters, tilts, scale: float):
        size, procedure = self.description.glimpse_size, self.procedure
        margin = procedure.window_margin(scale)
        return self.arrays.cut(canvases, images, boxes_rel, quarters, tilts, size, margin, procedure.samples, procedure)

    def _read(self, canvases, images, boxes_rel, quarters, tilts) -> dict:
        """`characters`, `attention` and `glimpses` of plates, in all `reading_scales` unless the first is enough."""
        xp, (usual, *others) = self.xp, self.procedure.reading_scales
        glimpses = self._glimpses(canvases, images, boxes_rel, quarters, tilts, usual)
        answer = self.engine.read(glimpses)
        logs = steps.logarithms(answer["logits"], xp)
        characters = steps.softmax(logs / self.description.temperature, xp)
        unsure = self.arrays.choose(steps.certainties(characters, xp)[0] < self.procedure.sure)
        if others and not self.arrays.none(unsure):
            doubtful = [xp.take(values, unsure, axis=0) for values in (images, boxes_rel, quarters, tilts)]
            again = [self._glimpses(canvases, *doubtful, scale) for scale in others]
            again = xp.stack(again, axis=1)
            again = self.engine.read(xp.reshape(again, (-1, *again.shape[2:])))["logits"]
            again = xp.reshape(steps.logarithms(again, xp), (-1, len(others), *logs.shape[1:]))
            agreed = (xp.take(logs, unsure, axis=0) + xp.sum(again, axis=1)) / (1 + len(others))
            agreed = steps.softmax(agreed / self.description.temperature, xp)
            characters = self.arrays.put(characters, unsure, agreed)
        return {"characters": characters, "attention": answer["attention"], "glimpses": glimpses}

    def _read_in_doubt(self, canvases, plates: dict) -> dict:
        """The plates; those read with doubt as they read from all sides, where that is more certain."""
        xp, procedure, arrays = self.xp, self.procedure, self.arrays
        certainty, _ = steps.certainties(plates["characters"], xp)
        box_confidence = plates["box_confidence"]
        believed = xp.reshape(steps.is_sure(certainty, box_confidence, procedure), (-1, procedure.plates))
        # Beside a plate that is believed, one with a box as doubtful as this is not reported, whatever it says.
        least = xp.where(xp.any(believed, axis=1), procedure.sureness_threshold, procedure.box_threshold)
        least = xp.maximum(xp.repeat(least, procedure.plates), procedure.box_threshold)
        places = arrays.choose(xp.logical_and(box_confidence >= least, certainty < procedure.doubt))
        if arrays.none(places):
            return plates
        turns, boxes_rel = (xp.take(plates[name], places, axis=0) for name in ("turns", "boxes_rel"))
        images = places // procedure.plates
        quarters, tilts = self._best_side(canvases, images, boxes_rel, turns)
        again = self._read(canvases, images, boxes_rel, quarters, tilts)
        better = arrays.choose(steps.certainties(again["characters"], xp)[0] > xp.take(certainty, places))
        places = xp.take(places, better)
        again = {name: xp.take(values, better, axis=0) for name, values in again.items()}
        return {**plates, **{name: arrays.put(plates[name], places, values) for name, values in again.items()}}

    def _best_side(self, canvases, images, boxes_rel, turns) -> tuple:
        """The quarter turn and the tilt at which each plate reads best: `(n,)` each.

        The likeliest side comes first; a side that cannot win any more is not read, as no certainty is above 1.
        """
        xp, procedure, arrays = self.xp, self.procedure, self.arrays
        order, tilts = steps.stable_order(-turns, xp), xp.array(procedure.tilts)
        quarters, best_tilts, scores = order[:, 0], xp.zeros_like(order[:, 0]), xp.zeros_like(turns[:, 0]) - 1
        for rank in range(_SIDES):
            sides = order[:, rank]
            likely = xp.take_along_axis(turns, sides[:, None], axis=1)[:, 0]
            most = likely**procedure.turn_power
            open_ = arrays.choose(xp.logical_and(likely >= procedure.least_turn, most > scores))
            if arrays.none(open_):
                break
            views = [xp.take(values, open_, axis=0) for values in (images, boxes_rel, sides)]
            views = [xp.repeat(values, len(procedure.tilts), axis=0) for values in views]
            angles = xp.reshape(xp.zeros_like(xp.take(likely, open_))[:, None] + tilts, (-1,))
            answer = self.engine.read(self._glimpses(canvases, *views, angles, 1.0))
            certainty, _ = steps.certainties(steps.softmax(answer["logits"], xp), xp)
            certainty = xp.reshape(certainty, (-1, len(procedure.tilts)))
            score = xp.max(certainty, axis=1) * xp.take(most, open_)
            better = arrays.choose(score > xp.take(scores, open_))
            places = xp.take(open_, better)
            best_tilts = arrays.put(best_tilts, places, xp.take(xp.argmax(certainty, axis=1), better))
            quarters = arrays.put(quarters, places, xp.take(sides, places))
            scores = arrays.put(scores, places, xp.take(score, better))
        return quarters, xp.take(tilts, best_tilts)

    def _reported(self, photograph, frame, seen: dict) -> dict:
        """What to report of one photograph, see `read`; `seen` are its plates, as `look` gives them."""
        xp, procedure = self.xp, self.procedure
        plates, believed = self._judged(seen, frame.to_px(seen["boxes_rel"]))
        is_plate = plates["box_confidence"] >= procedure.box_threshold
        # Plates come before what is none: what is none has no text. The most certain one is reported in any case.
        first = np.arange(procedure.plates) == 0
        stays = xp.logical_and(is_plate, xp.logical_or(first, believed))
        kept = steps.apart(plates["boxes_px"], stays, procedure, xp)
        best_box_confidence = xp.max(seen["box_confidence"])
        sides_px = plates["boxes_px"][:, 2:] - plates["boxes_px"][:, :2]
        near = xp.max(sides_px, axis=-1) >= procedure.distant_plate * xp.max(frame.to_px(_WHOLE))
        report = self.arrays.when(
            xp.any(xp.logical_and(believed, near)) if procedure.closer_part else True,
            lambda: self.arrays.select(plates, kept),
            lambda: self._closer(photograph, frame, plates, kept, xp.logical_and(kept, believed)),
        )
        return {**report, "best_box_confidence": best_box_confidence}

    def _judged(self, seen: dict, boxes_px) -> tuple[dict, Any]:
        """The plates with their boxes in pixels and the certainty of their texts, the most certain first; and a mask
        `(n,)`: which are plates whose text is believed."""
        xp, procedure = self.xp, self.procedure
        names = ("box_confidence", "characters", "attention", "glimpses")
        plates = {name: seen[name] for name in names} | {"boxes_px": boxes_px}
        plates["confidence"] = self.certainty(seen["characters"])
        order = steps.in_order(plates["confidence"], plates["box_confidence"], xp)
        plates = {name: xp.take(values, order, axis=0) for name, values in plates.items()}
        is_plate = plates["box_confidence"] >= procedure.box_threshold
        believed = steps.is_sure(plates["confidence"], plates["box_confidence"], procedure)
        return plates, xp.logical_and(is_plate, believed)

    def _closer(self, photograph, whole, before: dict, kept_before, believed_before) -> dict:
        """What was believed before, and the certain plates in four overlapping parts of the photograph that lie
        elsewhere; what was seen before if there are none. `whole` is the photograph's frame."""
        xp, procedure, arrays = self.xp, self.procedure, self.arrays
        grey, size = procedure.letterbox_grey, self.description.canvas_size
        parts = arrays.parts(photograph, procedure.closer_part)
        views = [(corner, *arrays.letterbox(part, size, grey)) for corner, part in parts]
        canvases = xp.concatenate([canvas for _, canvas, _ in views])
        seen = self.look(canvases, further_confidence=procedure.closer_further_confidence)
        boxes_px, is_whole = [], []
        for index, (corner, _, frame) in enumerate(views):
            own = frame.to_px(seen["boxes_rel"][index * procedure.plates : (index + 1) * procedure.plates])
            is_whole.append(self._is_whole(own, corner, frame, whole))
            boxes_px.append(own + xp.concatenate([corner, corner]))
        seen = {**seen, "box_confidence": xp.where(xp.concatenate(is_whole), seen["box_confidence"], 0.0)}
        closer, believed = self._judged(seen, xp.concatenate(boxes_px))
        certain = xp.logical_and(believed, closer["confidence"] >= procedure.closer_certainty)
        plates = {name: xp.concatenate([before[name], values]) for name, values in closer.items()}
        kept = steps.apart(plates["boxes_px"], xp.concatenate([believed_before, certain]), procedure, xp)
        order = steps.in_order(plates["confidence"], plates["box_confidence"], xp)
        plates = {name: xp.take(values, order, axis=0) for name, values in plates.items()}
        kept = xp.take(kept, order)
        return arrays.when(
            xp.any(kept), lambda: arrays.select(plates, kept), lambda: arrays.select(before, kept_before)
        )

    def _is_whole(self, boxes_px, corner, frame, whole):
        """Whether plates of a part, `(n, 4)` in its pixels, do not end where it was cut from the photograph: `(n,)`.

        What is cut off in one part is whole in another one, or too large to be missed.
        """
        xp = self.xp
        corner, sides = xp.array(corner, "float32"), frame.to_px(_WHOLE)[2:]
        edge = self.procedure.part_edge * xp.max(sides)
        # Where a part ends with the photograph, nothing was cut off.
        above = xp.logical_and(boxes_px[:, :2] < edge, corner > 0)
        below = xp.logical_and(boxes_px[:, 2:] > sides - edge, corner + sides + 0.5 < whole.to_px(_WHOLE)[2:])
        beside = boxes_px[:, 2:] <= boxes_px[:, :2]  # On the canvas, but not on the photograph.
        return xp.logical_not(xp.any(above | below | beside, axis=-1))
