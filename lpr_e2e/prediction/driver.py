"""The reading procedure, the one place where it is written: from canvases to plates, over any engine.

1. **Find** the most certain plates in a small scene of the whole photograph.
2. **Look again** at each that may be one, in an upright window around it: there the plate is large, its box exact, and
   what only resembled a plate is told apart.
3. **Read** each plate in a glimpse cut from the canvas; unless that is certain, also at other scales, with its contrast
   evened out.
4. **In doubt**, read it once more from all sides: at the likely quarter turns and at several tilts. If that does not
   settle it, read it as if it had moved while it was taken, by several lengths.
5. **Step back**, see `lpr_e2e.prediction.step_back`, where a plate fills the picture: 1 to 4 once more, with room
   around it.
6. **Report** the most certain plate, and others that are certain and lie elsewhere. If not even the most certain one is
   believed, or all are small, or there are several, so that there may be more, **look closer**, see
   `lpr_e2e.prediction.closer_look`: 1 to 3 once more in parts of the photograph.

Every number of it is in the model's `Procedure`. The steps are pure functions of `lpr_e2e.common.steps`; what differs
between numpy and a graph (choosing places by a mask, cutting a window) is behind `Arrays`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from lpr_e2e.common import contrast, motion, steps
from lpr_e2e.prediction.arrays import NumpyArrays
from lpr_e2e.prediction.closer_look import CloserLook
from lpr_e2e.prediction.description import Description
from lpr_e2e.prediction.engines import Engine
from lpr_e2e.prediction.step_back import step_back

_SIDES = 4
_REPORTED = ("boxes_px", "box_confidence", "confidence", "characters", "attention", "glimpses")


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

    def sides(self, photograph):
        """Height and width of a photograph, int64 `(2,)`."""

    def crop(self, photograph, part):
        """What a part `(4,)`, yxyx, shows of a photograph."""

    def each(self, places, work: Callable[[Any], dict], nothing: dict) -> dict:
        """What `work` gives of rows `(b, ...)` of `places` `(m, ...)`, a few at a time: `(m * k, ...)`.

        b is static. Of each row there are k in the answer, shaped and named as in `nothing`, `(k, ...)`.
        """

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
        self._closer_look, self._codes = CloserLook(self), description.text_forms.codes()
        self.certainty: Callable[[Any], Any] = self._certainty

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
            own = step_back(self, photograph, canvases[index : index + 1], frame, own)
            answers.append(self._reported(photograph, frame, own))
        return answers

    def read_glimpses(self, glimpses):
        """Calibrated probabilities of the characters, `(n, slots, classes)`, of glimpses `(n, height, width, 3)`."""
        return self._probabilities(self.engine.read(glimpses)["logits"])

    def look(
        self, canvases, in_doubt: bool = False, further_confidence: float | None = None, plates_each: int | None = None
    ) -> dict:
        """Find and read the plates of canvases.

        Args:
            canvases: uint8 `(b, canvas_size, canvas_size, 3)`, b static.
            in_doubt: whether plates that are read with doubt are read again from all sides.
            further_confidence: to use instead of the procedure's.
            plates_each: K, the most plates of each canvas, instead of the procedure's.

        Returns:
            for K plates of each canvas, `(b * K, ...)`: `boxes_rel`, `box_confidence`, `turns`, `tilts`, and where
            there is a plate `characters`, `attention` and `glimpses`; zeros elsewhere.
        """
        each = self.procedure.plates if plates_each is None else plates_each
        plates = self.find(self.arrays.scenes(canvases, self.description.scene_shrink), each)
        plates = self.study(canvases, plates, each, further_confidence)
        doubted = in_doubt and self.procedure.doubt
        return self.read_in_doubt(canvases, plates, each, self.procedure.box_threshold) if doubted else plates

    def find(self, scenes, each: int) -> dict:
        """The most certain plates of scenes, so many of each: `boxes_rel`, `box_confidence`, `turns` and `tilts`."""
        found = steps.best_plates(self.engine.find(scenes), each, self.procedure, self.xp)
        count = scenes.shape[0] * each
        return {name: self.xp.reshape(values, (count, *values.shape[2:])) for name, values in found.items()}

    def study(self, canvases, plates: dict, each: int, further_confidence: float | None = None) -> dict:
        """What `look` gives of plates that `find` gave, so many of each canvas: seen a second time, and read."""
        xp, procedure = self.xp, self.procedure
        count = canvases.shape[0] * each
        is_best, first = np.arange(count) % each == 0, plates["box_confidence"][::each]
        candidate = xp.logical_and(is_best, plates["box_confidence"] >= procedure.least_confidence)
        plates = self._look_again(canvases, plates, candidate, each)
        # If the best candidate has proved to be a plate, the others need more.
        proved = xp.repeat(plates["box_confidence"][::each] >= procedure.sure_confidence, each)
        needed = procedure.further_confidence if further_confidence is None else further_confidence
        needed = xp.repeat(xp.minimum(needed, procedure.further_share * first), each)
        least = xp.where(proved, needed, procedure.least_confidence)
        further = xp.logical_and(np.logical_not(is_best), plates["box_confidence"] >= least)
        plates = self._look_again(canvases, plates, further, each)
        believed = plates["box_confidence"] >= procedure.box_threshold
        places = self.arrays.choose(xp.logical_and(xp.logical_or(candidate, further), believed))
        plates = plates | self.nothing_read(count)
        if self.arrays.none(places):
            return plates
        boxes_rel, turns, tilts = (xp.take(plates[name], places, axis=0) for name in ("boxes_rel", "turns", "tilts"))
        tilts = tilts * float(procedure.rectify)
        answers = self._read(canvases, places // each, boxes_rel, xp.argmax(turns, axis=-1), tilts)
        return plates | {name: self.arrays.put(plates[name], places, values) for name, values in answers.items()}

    def _probabilities(self, logits):
        """Calibrated probabilities of the characters `(n, slots, classes)`, of texts without gaps."""
        characters = steps.softmax(logits / self.description.temperature, self.xp)
        return steps.without_gaps(characters, self.xp) if self.procedure.without_gaps else characters

    def _certainty(self, characters):
        """How certain each text is, `(n,)`, of characters `(n, slots, classes)`, see `steps.certainties`; less if it
        has another form than all training texts."""
        return steps.certainties(characters, self.xp, self.vocabulary.unseen)[0] * self._form_factor(characters)

    def _form_factor(self, characters):
        """1 for texts of a form that training texts have, `other_form` for others, `(n,)`."""
        xp, codes, usual = self.xp, self._codes, self.xp.ones_like(characters[..., 0, 0])
        if not len(codes[1]):
            return usual
        fits = steps.fits_form(characters, codes, xp, self.vocabulary.unseen)
        return xp.where(fits, usual, usual * self.procedure.other_form)

    def _worth(self, characters):
        """What each reading is worth beside others of the same plate, `(n,)`: how likely its characters are in the
        mean. A text of another form than all training texts is less likely from the start, and one of which something
        is not seen is worth less, whatever it says.

        By the weakest character alone, a short text or one with gaps would be preferred to that of a country that the
        model does not know, of which one letter is hardly known.
        """
        xp, unseen = self.xp, self.vocabulary.unseen
        worth = steps.likelihoods(characters, self._form_factor(characters), xp)
        if unseen is None:
            return worth
        hidden = xp.any(steps.texts(characters, xp) == unseen, axis=-1)
        return xp.where(hidden, worth * self.procedure.other_form, worth)

    def nothing_read(self, count: int) -> dict:
        """What `_read` gives of plates that are not read."""
        zeros, slots, sizes = self.arrays.zeros, self.vocabulary.slots, self.description
        return {
            "characters": zeros((count, slots, self.vocabulary.classes)),
            "attention": zeros((count, slots, *sizes.grid_size)),
            "glimpses": zeros((count, *sizes.glimpse_size, 3), self.arrays.pixels),
        }

    def _look_again(self, canvases, plates: dict, mask, each: int) -> dict:
        """The plates, so many of each canvas, those of the mask seen a second time."""
        places = self.arrays.choose(mask)
        if not self.procedure.second_look or self.arrays.none(places):
            return plates
        xp, procedure, size = self.xp, self.procedure, (self.description.scene_size,) * 2
        first = {name: xp.take(values, places, axis=0) for name, values in plates.items()}
        windows = steps.second_windows(first["boxes_rel"], procedure, xp)
        quarters = xp.argmax(first["turns"], axis=-1)
        images = places // each
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
        characters = self._probabilities(logs)
        unsure = self.arrays.choose(self._certainty(characters) < self.procedure.sure)
        if others and not self.arrays.none(unsure):
            doubtful = [xp.take(values, unsure, axis=0) for values in (images, boxes_rel, quarters, tilts)]
            again = [self._glimpses(canvases, *doubtful, scale) for scale in others]
            again = xp.stack(again, axis=1)
            again = xp.reshape(again, (-1, *again.shape[2:]))
            if self.procedure.equalised:
                again = contrast.equalised(again, self.procedure.equalised, xp)
                again = steps.cast(again, self.arrays.pixels, xp)
            again = self.engine.read(again)["logits"]
            again = xp.reshape(steps.logarithms(again, xp), (-1, len(others), *logs.shape[1:]))
            agreed = (xp.take(logs, unsure, axis=0) + xp.sum(again, axis=1)) / (1 + len(others))
            agreed = self._probabilities(agreed)
            characters = self.arrays.put(characters, unsure, agreed)
        return {"characters": characters, "attention": answer["attention"], "glimpses": glimpses}

    def read_in_doubt(self, canvases, plates: dict, each: int, least_confidence: float) -> dict:
        """The plates, so many of each canvas; those read with doubt as they read from all sides, where that is worth
        more and their boxes are at least this likely."""
        xp, procedure, arrays = self.xp, self.procedure, self.arrays
        certainty = self._certainty(plates["characters"])
        box_confidence = plates["box_confidence"]
        believed = xp.reshape(steps.is_sure(certainty, box_confidence, procedure), (-1, each))
        # Beside a plate that is believed, one with a box as doubtful as this is not reported, whatever it says.
        least = xp.where(xp.any(believed, axis=1), procedure.sureness_threshold, least_confidence)
        least = xp.maximum(xp.repeat(least, each), least_confidence)
        places = arrays.choose(xp.logical_and(box_confidence >= least, certainty < procedure.doubt))
        if arrays.none(places):
            return plates
        turns, boxes_rel = (xp.take(plates[name], places, axis=0) for name in ("turns", "boxes_rel"))
        images = places // each
        quarters, tilts = self._best_side(canvases, images, boxes_rel, turns)
        again = self._read(canvases, images, boxes_rel, quarters, tilts)
        before = self._worth(xp.take(plates["characters"], places, axis=0))
        better = arrays.choose(self._worth(again["characters"]) > before)
        certain = xp.take(places, better)
        again = {name: xp.take(values, better, axis=0) for name, values in again.items()}
        plates = plates | {name: arrays.put(plates[name], certain, values) for name, values in again.items()}
        return self._read_as_moved(plates, places)

    def _read_as_moved(self, plates: dict, places) -> dict:
        """The plates; those of the places `(m,)` that are still in doubt as they read when their motion is undone,
        where that is worth more and two neighbouring lengths of it say the same."""
        xp, procedure, arrays = self.xp, self.procedure, self.arrays
        lengths = tuple(length for length in procedure.moved if length > 0)
        before = xp.take(plates["characters"], places, axis=0)
        doubted = arrays.choose(self._certainty(before) < procedure.doubt)
        if not lengths or arrays.none(doubted):
            return plates
        places, before = xp.take(places, doubted), self._worth(xp.take(before, doubted, axis=0))
        undoing = motion.undoing(lengths, self.description.glimpse_size[1], procedure.moved_noise)
        still = motion.undone(xp.take(plates["glimpses"], places, axis=0), undoing, xp)
        still = steps.cast(xp.reshape(still, (-1, *still.shape[2:])), arrays.pixels, xp)
        answer = self.engine.read(still)
        characters = self._probabilities(answer["logits"])
        answer = {"characters": characters, "attention": answer["attention"]}
        by_length = {name: xp.reshape(values, (-1, len(lengths), *values.shape[1:])) for name, values in answer.items()}
        texts, worth = steps.texts(by_length["characters"], xp), self._worth(by_length["characters"])
        best, most = steps.best_agreed(texts, worth, xp)
        better = arrays.choose(most > before)
        places, best = xp.take(places, better), xp.take(best, better)
        by_length = {
            name: steps.of_each(xp.take(values, better, axis=0), best, xp) for name, values in by_length.items()
        }
        return plates | {name: arrays.put(plates[name], places, values) for name, values in by_length.items()}

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
            worth = self._worth(steps.softmax(answer["logits"], xp))
            worth = xp.reshape(worth, (-1, len(procedure.tilts)))
            score = xp.max(worth, axis=1) * xp.take(most, open_)
            better = arrays.choose(score > xp.take(scores, open_))
            places = xp.take(open_, better)
            best_tilts = arrays.put(best_tilts, places, xp.take(xp.argmax(worth, axis=1), better))
            quarters = arrays.put(quarters, places, xp.take(sides, places))
            scores = arrays.put(scores, places, xp.take(score, better))
        return quarters, xp.take(tilts, best_tilts)

    def _reported(self, photograph, frame, seen: dict) -> dict:
        """What to report of one photograph, see `read`; `seen` are its plates, as `look` gives them."""
        xp, procedure = self.xp, self.procedure
        plates, believed = self.judged(seen, frame.to_px(seen["boxes_rel"]))
        is_plate = plates["box_confidence"] >= procedure.box_threshold
        # Plates come before what is none: what is none has no text. The most certain one is reported in any case.
        first = np.arange(procedure.plates) == 0
        sure = plates["box_confidence"] > procedure.sure_plate
        stays = xp.logical_and(is_plate, xp.logical_or(first, xp.logical_or(believed, sure)))
        kept = steps.apart(plates["boxes_px"], stays, procedure, xp)
        if procedure.closer_part:
            report = self._closer_look.report(photograph, frame, plates, kept, xp.logical_and(kept, believed))
        else:
            report = self.arrays.select(plates, kept)
        return {name: report[name] for name in _REPORTED} | {"best_box_confidence": xp.max(seen["box_confidence"])}

    def judged(self, seen: dict, boxes_px) -> tuple[dict, Any]:
        """The plates with their boxes in pixels and the certainty of their texts, the most certain first; and a mask
        `(n,)`: which are plates whose text is believed."""
        xp, procedure = self.xp, self.procedure
        names = ("box_confidence", "turns", "tilts", "characters", "attention", "glimpses")
        plates = {name: seen[name] for name in names} | {"boxes_px": boxes_px}
        plates["confidence"] = self.certainty(seen["characters"])
        order = steps.in_order(plates["confidence"], plates["box_confidence"], xp)
        plates = {name: xp.take(values, order, axis=0) for name, values in plates.items()}
        is_plate = plates["box_confidence"] >= procedure.box_threshold
        believed = steps.is_sure(plates["confidence"], plates["box_confidence"], procedure)
        return plates, xp.logical_and(is_plate, believed)
