"""Training batches: real crops, synthetic plates and photographs, augmented and mixed.

Each sample of a batch is a function of the data, the seed, the batch's step and the sample's place in it alone. So
batches can be made in parallel and in any order, a resumed training sees exactly the batches that an uninterrupted one
would have seen, and several processes that share the batches make together what one would make.

The processes that make batches (`loader`) import this module: neither Keras nor its backend belongs here.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from lpr_e2e.common.architecture import Architecture
from lpr_e2e.common.boxes import aspect, rectangle_corners, turn_box, turn_picture
from lpr_e2e.common.places import Places, places_by_cuts
from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.samples import Crop, Dataset, Photograph, Plate, PlateKey, ReadablePlate, readable_plates
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.training.augmentation import (
    SMALLEST_PASTED,
    beside_plates,
    cut_out,
    glimpse_of_plate,
    no_higher,
    paste_plate,
    rearranged,
    window_of,
)
from lpr_e2e.training.canvas import CLOSE_VIEW, CanvasMotion, boxes_of, photograph_on_canvas
from lpr_e2e.training.light import Light
from lpr_e2e.training.partly import View, covered_drawn, cut_photograph, in_box, of_box, on_background, partly_seen
from lpr_e2e.training.picture_cache import PictureCache
from lpr_e2e.training.pseudo_labels import PseudoLabels
from lpr_e2e.training.settings import Mixture
from lpr_e2e.training.told import as_told

# Numbers of the random streams: of stage one; of stage two its photographs, their order, its separate plates; of the
# drawn plates of both; of what a separate plate is, and of plates that are seen in part.
RECOGNITION, JOINT, _ORDER, _PLATES, _DRAWN, _KIND, _PARTLY = range(1, 8)
# Drawing a plate, or covering one, takes longer than a look at it: each is seen in up to so many batches, so many steps
# apart, each time moved, lit and blurred differently (data echoing, https://arxiv.org/abs/1907.05550). Kept until then:
# so many plates, and so many that are seen in part.
_ECHOES, _ECHO_STEPS, _ECHO_CACHE, _PARTLY_CACHE = 8, 8, 1024, 128
# Of the separate glimpses with nothing to read, the share without a plate; and the quarter turns of the others: upside
# down is what is mistaken most.
_NOTHING, _WRONG_TURNS = 0.3, (1, 2, 2, 3)
# Of the pasted plates of which something cannot be seen, the share that is covered; the others are cut off.
_COVERED = 0.5
# Standard deviation of the error of tilts that are not the predicted ones, radians.
_TILT_ERROR = 0.05
# The least share of the glimpse's resolution that is left of a real plate, whose picture has lost some already, and of
# a drawn one.
_DETAIL_REAL, _DETAIL_DRAWN = 0.4, 0.17
# Standard deviation of a plate's tilt in its glimpse, degrees: usually, and at most for the share of the others.
_TILT, _TILT_STRONG, _TILT_USUAL = 2.5, 9.0, 0.6


def share(places: range, part: int, parts: int) -> range:
    """One of so many nearly equal parts of the places in a batch, in their order."""
    return places[part * len(places) // parts : (part + 1) * len(places) // parts]


class BatchMaker:
    """Makes the training batches of both stages.

    Args:
        dataset: the data to train on.
        vocabulary, architecture, procedure: of the model that is trained.
        painter: draws the synthetic plates.
        mixture: shares of the sources.
        seed: of everything random.
        own: what the model itself added to the labels, or None.
        parts: makes only a part of each batch: of each pair `(part, parts)`, this one of so many nearly equal parts of
            what the pair before leaves.
        cache: of the decoded pictures.

    Attributes:
        shown: how many of the plates and photographs in the batches made so far came from each source.
    """

    def __init__(
        self,
        dataset: Dataset,
        vocabulary: Vocabulary,
        architecture: Architecture,
        procedure: Procedure,
        painter: PlatePainter,
        mixture: Mixture,
        seed: int,
        own: PseudoLabels | None = None,
        parts: Sequence[tuple[int, int]] = (),
        cache: PictureCache | None = None,
    ):
        self.parts, self.own = parts, own or PseudoLabels()
        self.vocabulary, self.architecture, self.procedure = vocabulary, architecture, procedure
        self.painter, self.mixture, self.seed = painter, mixture, seed
        self.photographs = self.own.applied(as_told(dataset.photographs, mixture))
        self.most_plates, self.straight_aspect = dataset.most_plates(), dataset.straight_aspect()
        self._light = Light(mixture.hardness, mixture.harsh, mixture.moved)
        self._motion = CanvasMotion(
            architecture.canvas_size,
            procedure.letterbox_grey,
            self._light,
            mixture.turned,
            mixture.tilted,
            mixture.close if procedure.second_look else 0.0,
            CLOSE_VIEW * procedure.second_look,
            self.straight_aspect,
        )
        # A plate whose way up is unknown cannot be shown upright, so its text is not used.
        self.texted: list[ReadablePlate] = list(readable_plates(self.photographs, ()))
        self.crops: list[Crop] = [crop for crop in dataset.crops if crop.turns is not None]
        self.cache = cache or PictureCache()
        # What cannot be seen is shown to a model that can say so.
        self._partly = mixture.partly if vocabulary.unseen else 0.0
        self._placed = self._plates_with_places() if self._partly else []
        self._drawn_again = functools.lru_cache(_ECHO_CACHE)(self._drawn_at)
        self._maker_again = functools.lru_cache(_ECHO_CACHE)(self._maker_at)
        self._view_again = functools.lru_cache(_PARTLY_CACHE)(self._view_at)
        self.shown: Counter[str] = Counter()

    def _plates_with_places(self) -> list[tuple[int, Places]]:
        """The real plates of which it is known where each character stands, by their numbers, in shares of the box."""
        keyed = [(one.key, one.text) for one in self.texted]
        keyed += [(("crop", crop.img_id, 0), crop.text) for crop in self.crops]
        found = [places_by_cuts(text, self.own.cuts[key]) if key in self.own.cuts else None for key, text in keyed]
        return [(number, places) for number, places in enumerate(found) if places]

    def _real_plate(self, rng) -> tuple[np.ndarray, np.ndarray, str]:
        """A real plate, upright: uint8 picture, its box in it yxyx, text."""
        picture, box, key, text = self._real_at(int(rng.integers(len(self.texted) + len(self.crops))))
        picture, text = self._rearranged(key, text, picture, box, rng)
        return picture, box, text

    def _real_at(self, index: int) -> tuple[np.ndarray, np.ndarray, PlateKey, str]:
        """The real plate of this number, upright: uint8 picture, its box in it yxyx, its key, text."""
        if index < len(self.texted):  # The crop's own photograph also shows what surrounds the plate.
            plate = self.texted[index]
            picture = self.cache.read(plate.path)
            box = turn_box(plate.box_px, *picture.shape[:2], plate.turns)
            picture = np.rot90(picture, plate.turns)
            pad = 0.6 * np.array([box[2] - box[0], (box[3] - box[1]) * 0.5])
            top, left = np.maximum(box[:2] - pad, 0).astype(int)
            bottom, right = np.ceil(box[2:] + pad).astype(int)
            window = np.ascontiguousarray(picture[top:bottom, left:right])
            return window, box - np.array([top, left, top, left]), plate.key, plate.text
        crop = self.crops[index - len(self.texted)]
        picture = self._upright_crop(crop)
        return picture, np.array([0, 0, *picture.shape[:2]]), ("crop", crop.img_id, 0), crop.text

    def _drawn_at(self, *key: int) -> tuple[np.ndarray, str, Places]:
        """A synthetic plate, cut out, its text and its characters' places in it: a function of key and seed.

        Shared: do not write into it.
        """
        picture, outline, text, places = self.painter.draw_sampled(np.random.default_rng([self.seed, _DRAWN, *key]))
        # It is seen many times, and never higher than a glimpse.
        plate = no_higher(cut_out(picture, outline), self.architecture.glimpse_size[0])
        places = places.moved(np.array(plate.shape[:2]) / picture.shape[:2], (0, 0))
        plate.flags.writeable = False
        return plate, text, places

    def _rearranged(self, key: PlateKey, text: str, picture, box, rng) -> tuple[np.ndarray, str]:
        groups = self.own.cuts.get(key, [])
        if not groups or rng.random() >= self.mixture.rearranged:
            return picture, text
        return rearranged(picture, box, groups, text, rng)

    def _upright_crop(self, crop: Crop) -> np.ndarray:
        return turn_picture(self.cache.read(crop.path), crop.turns)

    def _new_plate(self, rng) -> tuple[np.ndarray, np.ndarray, str, Places | None]:
        """A plate to paste, frontal: uint8 picture, uint8 outline, text, and if known its places in the picture."""
        if self.crops and (rng.random() < self.mixture.pasted_real or not self.painter.can_draw):
            crop = self.crops[int(rng.integers(len(self.crops)))]
            picture = self._upright_crop(crop)
            whole = (0, 0, *picture.shape[:2])
            picture, text = self._rearranged(("crop", crop.img_id, 0), crop.text, picture, whole, rng)
            return picture, np.full(picture.shape[:2], 255, "uint8"), text, None
        return self.painter.draw_sampled(rng)

    def _background(self, rng) -> np.ndarray:
        """A random window of a photograph, for the surroundings of a synthetic plate; uint8."""
        photograph = self.photographs[int(rng.integers(len(self.photographs)))]
        return window_of(self.cache.read(photograph.path), rng)

    def _beside_a_plate(self, rng) -> tuple[np.ndarray, np.ndarray]:
        """A window of a photograph, as large as a plate could be, that misses its plates: uint8 picture, box in it."""
        photograph = self.photographs[int(rng.integers(len(self.photographs)))]
        return beside_plates(self.cache.read(photograph.path), [plate.box_px for plate in photograph.plates], rng)

    def _plate_to_read(self, rng, drawn: tuple[int, ...]) -> tuple:
        """A plate, upright: picture, box, text, what `glimpse_of_plate` takes as `behind` and `detail`, its source.

        Which plate is drawn, if one is, depends on the key `drawn` alone.
        """
        real = bool(self.texted or self.crops)
        if real and (rng.random() < self.mixture.real or not self.painter.can_draw):
            return *self._real_plate(rng), None, _DETAIL_REAL, "real"
        plate, text, _ = self._drawn_again(*drawn)
        return plate, (0, 0, *plate.shape[:2]), text, self._background(rng), _DETAIL_DRAWN, "drawn"

    def _nothing_to_read(self, rng, drawn: tuple[int, ...]) -> tuple:
        """A plate the wrong way up, or what is none, with an empty text; as `_plate_to_read`."""
        if rng.random() < _NOTHING:
            return *self._beside_a_plate(rng), "", None, _DETAIL_REAL, "none"
        picture, box, _, behind, detail, _ = self._plate_to_read(rng, drawn)
        turns = int(rng.choice(_WRONG_TURNS))
        box = turn_box(box, *picture.shape[:2], turns)
        return turn_picture(picture, turns), box, "", behind, detail, "wrong way up"

    def _partly_seen(self, rng, drawn: tuple[int, ...]) -> tuple:
        """A plate of which something cannot be seen; as `_plate_to_read`, whose plates are shown where none is made."""
        view, detail = self._view_again(*drawn)
        if view is None:
            return self._plate_to_read(rng, drawn)
        return view.picture, view.box, view.text, None, detail, view.source

    def _view_at(self, *key: int) -> tuple[View | None, float]:
        """A plate of which something cannot be seen, if one can be made, and the least detail it is shown in: a
        function of key and seed.

        Shared: do not write into it.
        """
        rng = np.random.default_rng([self.seed, _PARTLY, *key])
        if self._placed and (rng.random() < self.mixture.real or not self.painter.can_draw):
            number, places = self._placed[int(rng.integers(len(self._placed)))]
            picture, box, _, _ = self._real_at(number)
            places, detail = in_box(places, box), _DETAIL_REAL
        elif self.painter.can_draw:
            plate, text, places = self._drawn_again(*key)
            if places.text != text:  # Blanks have no place.
                return None, _DETAIL_DRAWN
            picture, box, places = on_background(plate, places, self._background(rng))
            detail = _DETAIL_DRAWN
        else:
            return None, _DETAIL_REAL
        grey, thing = self.procedure.letterbox_grey, functools.partial(self._background, rng)
        return partly_seen(picture, box, places, thing, grey, rng), detail

    def _share(self, count: int) -> range:
        """The places of this part in `count` places of a batch."""
        places = range(count)
        for part, parts in self.parts:
            places = share(places, part, parts)
        return places

    def _maker_at(self, *key: int) -> Callable[[np.random.Generator, tuple[int, ...]], tuple]:
        """What makes the separate plate with this key: a function of key and seed."""
        share = np.random.default_rng([self.seed, _KIND, *key]).random()
        if share < self.mixture.unreadable:
            return self._nothing_to_read
        return self._partly_seen if share < self.mixture.unreadable + self._partly else self._plate_to_read

    def plates(self, stream: int, step: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """This part's share of `count` glimpses of a random stream's step.

        Returns:
            uint8 `(n, height, width, 3)`, and their texts, int32 `(n, slots)`.
        """
        places = self._share(count)
        size, margin, hardness = self.architecture.glimpse_size, self.procedure.margin, self.mixture.hardness
        glimpses = np.empty((len(places), *size, 3), "uint8")
        classes = np.empty((len(places), self.vocabulary.slots), "int32")
        for index, place in enumerate(places):
            rng = np.random.default_rng([self.seed, stream, step, place])
            # The places of a batch change their plates in turn, so that no batch takes longer than the next one.
            moment = step + place * _ECHO_STEPS
            drawn = (stream, place, moment // (_ECHOES * _ECHO_STEPS), moment % _ECHO_STEPS)
            picture, box, text, behind, detail, source = self._maker_again(*drawn)(rng, drawn)
            self.shown[f"plate: {source}"] += 1
            tilt = _TILT if rng.random() < _TILT_USUAL else max(_TILT, _TILT_STRONG * hardness)
            corners, detail = rectangle_corners(box), 1 - (1 - detail) * hardness
            glimpses[index] = glimpse_of_plate(picture, corners, size, margin, self._light, rng, tilt, detail, behind)
            classes[index] = self.vocabulary.encode(text)
        return glimpses, classes

    def recognition_batch(self, step: int, plates: int) -> dict[str, np.ndarray]:
        """The batch of one step of stage one: `glimpses` and `glimpse_classes`, see `plates`."""
        glimpses, classes = self.plates(RECOGNITION, step, plates)
        return {"glimpses": glimpses, "glimpse_classes": classes}

    def _photograph(self, photograph: Photograph, target: int, predicted_share: float, rng) -> dict[str, np.ndarray]:
        """One photograph's sample of stage two, in which the plate number `target` is read; see `joint_batch`."""
        picture = self.cache.read(photograph.path)
        # The plate to read comes first.
        order = [target, *(number for number in range(len(photograph.plates)) if number != target)]
        plates = [photograph.plates[number] for number in order if number < len(photograph.plates)]
        tilts = [self._known_tilt(photograph, number) for number in order[: len(plates)]]
        hide = rng.random() < self.mixture.hidden
        source = "no plate on it"
        # A stream of its own: what is shown whole stays the same.
        partly = rng.spawn(1)[0] if self._partly else None
        if partly and (hide or partly.random() >= self._partly):
            partly = None
        if plates:
            key = ("photograph", photograph.img_id, target)
            picture, plates[0], tilts[0], source, places = self._perhaps_pasted(
                picture, plates[0], tilts[0], key, hide, rng, partly
            )
            can_be_cut = partly and places and len(plates) == 1
            cut = cut_photograph(picture, plates[0], tilts[0], places, partly) if can_be_cut else None
            if cut:
                (picture, plates[0]), source = cut, f"{source}, cut off"
        shown = photograph_on_canvas(picture, [plate.box_px for plate in plates], self._motion, rng, hide)
        if plates and not shown.whole()[0]:
            source = "no plate to see"
        self.shown[f"photograph: {source}"] += 1
        boxes = boxes_of(plates, tilts, shown, self.most_plates)
        return {
            "canvases": shown.canvas,
            "complete": np.float32(photograph.complete),
            **boxes,
            **self._reading_of(plates, boxes, predicted_share, photograph.complete, rng),
        }

    def _known_tilt(self, photograph: Photograph, number: int) -> float | None:
        """By how much a plate is turned clockwise in its photograph, radians, if that is known."""
        if aspect(photograph.plates[number].box_px) > self.straight_aspect:
            return 0.0
        return self.own.tilts.get(("photograph", photograph.img_id, number))

    def _perhaps_pasted(self, picture, plate: Plate, tilt: float | None, key: PlateKey, hide: bool, rng, partly):
        """Photograph, plate, tilt, a name of the source, and if known the places of its characters in shares of its
        box; now and then with another plate pasted over the plate. With a generator `partly`, it may be covered."""
        share = self.mixture.pasted_unknown if plate.text is None else self.mixture.pasted_known
        ymin, xmin, ymax, xmax = plate.box_px
        large_enough = min(ymax - ymin, xmax - xmin) >= SMALLEST_PASTED
        can_paste = large_enough and plate.turns is not None and (self.crops or self.painter.can_draw)
        if hide or not can_paste or rng.random() >= share:
            known = partly and plate.is_readable and key in self.own.cuts
            places = places_by_cuts(plate.text or "", self.own.cuts[key]) if known else None
            return picture, plate, tilt, "box and text" if plate.is_readable else "box only", places
        other, outline, text, places = self._new_plate(rng)
        source, places = "another plate pasted", places if partly and places and places.text == text else None
        if places and partly.random() < _COVERED:
            found = covered_drawn(other, outline, places, partly)
            if found:
                (other, outline, text), source, places = found, f"{source}, covered", None
        picture, tilt = paste_plate(picture, plate.box_px, plate.turns, other, outline, rng)
        return picture, replace(plate, text=text), tilt, source, of_box(places, other.shape) if places else None

    def _reading_of(self, plates, boxes: dict, predicted_share: float, complete: bool, rng) -> dict:
        """What the reader learns of the first plate, or of a photograph on which none is to be seen.

        `boxes` is what `boxes_of` gives of the same plates.
        """
        box = boxes["boxes_rel"][0] if plates else np.array([0.4, 0.4, 0.6, 0.6], "float32")
        readable = boxes["plate_visible"][0] and plates[0].is_readable
        use_predicted = rng.random() < predicted_share
        # What the model takes for a plate where there is surely none is to be read as nothing.
        nothing = complete and not boxes["plate_visible"].any() and not boxes["plate_cut"].any()
        rejected = nothing and use_predicted and self.mixture.unreadable > 0
        sides = np.tile(box[2:] - box[:2], 2)
        return {
            "classes": self.vocabulary.encode(plates[0].text if readable else ""),
            "text_known": np.float32(readable or rejected),
            "jittered_boxes_rel": (box + rng.normal(0, 0.035, 4) * sides).astype("float32"),
            "jittered_tilts": np.float32(boxes["tilts"][0] + boxes["tilts_known"][0] * rng.normal(0, _TILT_ERROR)),
            "use_predicted": np.float32(use_predicted),
        }

    def joint_batch(self, step: int, photographs: int, plates: int, predicted_share: float) -> dict[str, np.ndarray]:
        """The batch of one step of stage two.

        Args:
            step: number of the step, from 0.
            photographs, plates: how many of each; every photograph is seen once before any is seen again, and each time
                another one of its plates is read.
            predicted_share: share of the photographs that are read in the predicted box instead of a jittered true
                one.

        Returns:
            `glimpses`, `glimpse_classes` as in `plates`, and for each photograph its `canvases` uint8
            `(batch, size, size, 3)` and, float32 of 0 or 1 `(batch,)`, `complete`: whether no further plate is on it.
            Of its P plates at most, the one that is read first: `boxes_rel` float32 `(batch, P, 4)` rel yxyx; `turns`
            int32; `tilts` float32, radians; and the masks, float32 of 0 or 1 `(batch, P)`: `plate_visible` (there is
            such a plate, and all of it can be seen), `plate_cut` (a part can), `turns_known`, `tilts_known`. Of the
            plate that is read: `classes` int32 `(batch, slots)`, `text_known`, `jittered_boxes_rel`, `jittered_tilts`,
            `use_predicted`. A part without photographs has glimpses alone.
        """
        samples = []
        for place in self._share(photographs):
            turn, position = divmod(step * photographs + place, len(self.photographs))
            order = np.random.default_rng([self.seed, _ORDER, turn]).permutation(len(self.photographs))
            rng = np.random.default_rng([self.seed, JOINT, step, place])
            photograph = self.photographs[order[position]]
            target = turn % max(1, len(photograph.plates))
            samples.append(self._photograph(photograph, target, predicted_share, rng))
        glimpses, classes = self.plates(_PLATES, step, plates)
        batch = {name: np.stack([sample[name] for sample in samples]) for name in (samples[0] if samples else ())}
        return {**batch, "glimpses": glimpses, "glimpse_classes": classes}
