"""What the separate plates of a batch show: real ones, drawn ones, parts of them, and what is no plate.

Everything is a function of the data, the seed and a key, so that it does not matter which process makes it, or when.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lpr_e2e.common.boxes import turn_box, turn_picture
from lpr_e2e.common.places import Places, places_by_cuts
from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.text_forms import TextForms
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.samples import Crop, Photograph, PlateKey, ReadablePlate, readable_plates
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.drawing.signs import SignPainter, Writing
from lpr_e2e.training.augmentation import beside_plates, cut_out, no_higher, rearranged, window_of
from lpr_e2e.training.partly import View, in_box, on_background, partly_seen
from lpr_e2e.training.picture_cache import PictureCache
from lpr_e2e.training.pseudo_labels import PseudoLabels
from lpr_e2e.training.settings import Mixture

# Numbers of the random streams: see `lpr_e2e.training.batches` for the others.
_DRAWN, _KIND, _PARTLY, _SIGNS = 5, 6, 7, 8
# Drawing a plate, or covering one, takes longer than a look at it: each is seen in up to so many batches, so many steps
# apart, each time moved, lit and blurred differently (data echoing, https://arxiv.org/abs/1907.05550). Kept until then:
# so many plates, and so many that are seen in part. There are so many different pieces of writing.
ECHOES, ECHO_STEPS, _ECHO_CACHE, _PARTLY_CACHE, _WRITINGS = 8, 8, 1024, 128, 512
# Of the separate glimpses with nothing to read, the shares without a plate and with other writing; and the quarter
# turns of the others: upside down is what is mistaken most.
_NOTHING, _WRITTEN, _WRONG_TURNS = 0.3, 0.35, (1, 2, 2, 3)
# The least share of the glimpse's resolution that is left of a real plate, whose picture has lost some already, and of
# a drawn one: where a text can only be guessed, it is to be read without certainty, and only what was shown teaches so.
_DETAIL_REAL, _DETAIL_DRAWN = 0.25, 0.17


class Upright(NamedTuple):
    """A separate plate, upright, or what is none.

    Attributes:
        picture: uint8 RGB `(h, w, 3)`; with `behind`, uint8 `(h, w, 4)`, see `lpr_e2e.training.augmentation.cut_out`.
        box: `(4,)` yxyx of the plate in the picture, pixels.
        text: what is to be read.
        behind, detail: see `lpr_e2e.training.augmentation.glimpse_of_plate`.
        source: what it is, for people.
        places: of the text's characters, in the picture's pixels; None where they are not known.
    """

    picture: np.ndarray
    box: Sequence[float] | np.ndarray
    text: str
    behind: np.ndarray | None
    detail: float
    source: str
    places: Places | None = None


class PlateSources:
    """Where the separate plates of a training come from.

    Args:
        photographs, crops: to train on; the crops upright.
        vocabulary, height, procedure: of the model that is trained; the height is that of its glimpses, pixels.
        painter, mixture, seed, own, cache: see `lpr_e2e.training.batches.BatchMaker`.
        texts: of the training, of whose forms writing is not.

    Attributes:
        maker: what makes the separate plate with a key: a function of a generator and that key, that gives it
            `Upright`.
    """

    def __init__(
        self,
        photographs: Sequence[Photograph],
        crops: Sequence[Crop],
        vocabulary: Vocabulary,
        height: int,
        procedure: Procedure,
        painter: PlatePainter,
        mixture: Mixture,
        seed: int,
        own: PseudoLabels,
        cache: PictureCache,
        texts: Sequence[str],
    ):
        self.photographs, self.crops, self.own, self.cache = photographs, crops, own, cache
        self.painter, self.mixture, self.seed = painter, mixture, seed
        self._height, self._grey = height, procedure.letterbox_grey
        # A plate whose way up is unknown cannot be shown upright, so its text is not used.
        self.texted: list[ReadablePlate] = list(readable_plates(photographs, ()))
        # What cannot be seen is shown to a model that can say so.
        self.partly = mixture.partly if vocabulary.unseen else 0.0
        self._foreign = mixture.foreign if vocabulary.unseen else 0.0
        # One character more is shown to a model that has room for it.
        self._longer = mixture.longer if vocabulary.slots > max(map(len, texts), default=0) else 0.0
        self._placed = self._plates_with_places() if self.partly else []
        self._signs = SignPainter(TextForms.learned(texts, vocabulary))
        self._drawn_again = functools.lru_cache(_ECHO_CACHE)(self._drawn_at)
        self.maker = functools.lru_cache(_ECHO_CACHE)(self._maker_at)
        self._view_again = functools.lru_cache(_PARTLY_CACHE)(self._view_at)
        self._writing_again = functools.lru_cache(_WRITINGS)(self._writing_at)

    def writing(self, rng) -> Writing:
        """Writing that is no plate. Shared: do not write into it."""
        return self._writing_again(int(rng.integers(_WRITINGS)))

    def _writing_at(self, number: int) -> Writing:
        return self._signs.draw(np.random.default_rng([self.seed, _SIGNS, number]))

    def _maker_at(self, *key: int) -> Callable[[np.random.Generator, tuple[int, ...]], Upright]:
        """What makes the separate plate with this key: a function of key and seed."""
        share = np.random.default_rng([self.seed, _KIND, *key]).random()
        if share < self.mixture.unreadable:
            return self._nothing_to_read
        return self._partly_seen if share < self.mixture.unreadable + self.partly else self._plate_to_read

    def _plate_to_read(self, rng, drawn: tuple[int, ...]) -> Upright:
        """A plate. Which one is drawn, if one is, depends on the key `drawn` alone."""
        real = bool(self.texted or self.crops)
        if real and (rng.random() < self.mixture.real or not self.painter.can_draw):
            return Upright(*self._real_plate(rng), None, _DETAIL_REAL, "real")
        plate, text, places = self._drawn_again(*drawn)
        whole, known = (0, 0, *plate.shape[:2]), places if places.text == text else None  # Blanks have no place.
        return Upright(plate, whole, text, self.background(rng), _DETAIL_DRAWN, "drawn", known)

    def _nothing_to_read(self, rng, drawn: tuple[int, ...]) -> Upright:
        """A plate the wrong way up, or what is none, with an empty text; as `_plate_to_read`."""
        kind = rng.random()
        if kind < _NOTHING:
            return Upright(*self._beside_a_plate(rng), "", None, _DETAIL_REAL, "none")
        if kind < _NOTHING + (_WRITTEN if self.mixture.written else 0.0):
            writing = self.writing(rng)
            box = np.array([0, 0, *writing.cover.shape])
            return Upright(cut_out(*writing[:2]), box, "", self.background(rng), _DETAIL_DRAWN, "writing")
        plate = self._plate_to_read(rng, drawn)
        turns = int(rng.choice(_WRONG_TURNS))
        box = turn_box(plate.box, *plate.picture.shape[:2], turns)
        return Upright(turn_picture(plate.picture, turns), box, "", plate.behind, plate.detail, "wrong way up")

    def _partly_seen(self, rng, drawn: tuple[int, ...]) -> Upright:
        """A plate of which something cannot be seen; as `_plate_to_read`, whose plates are shown where none is made."""
        view, detail = self._view_again(*drawn)
        if view is None:
            return self._plate_to_read(rng, drawn)
        return Upright(view.picture, view.box, view.text, None, detail, view.source)

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
            picture, box, places = on_background(plate, places, self.background(rng))
            detail = _DETAIL_DRAWN
        else:
            return None, _DETAIL_REAL
        grey, thing = self._grey, functools.partial(self.background, rng)
        return partly_seen(picture, box, places, thing, grey, rng), detail

    def _real_plate(self, rng) -> tuple[np.ndarray, np.ndarray, str]:
        """A real plate, upright: uint8 picture, its box in it yxyx, text."""
        picture, box, key, text = self._real_at(int(rng.integers(len(self.texted) + len(self.crops))))
        picture, text = self.rearranged(key, text, picture, box, rng)
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
        picture, outline, text, places = self._new_drawn(np.random.default_rng([self.seed, _DRAWN, *key]))
        # It is seen many times, and never higher than a glimpse.
        plate = no_higher(cut_out(picture, outline), self._height)
        places = places.moved(np.array(plate.shape[:2]) / picture.shape[:2], (0, 0))
        plate.flags.writeable = False
        return plate, text, places

    def new_plate(self, rng) -> tuple[np.ndarray, np.ndarray, str, Places | None]:
        """A plate to paste, frontal: uint8 picture, uint8 outline, text, and if known its places in the picture."""
        if self.crops and (rng.random() < self.mixture.pasted_real or not self.painter.can_draw):
            crop = self.crops[int(rng.integers(len(self.crops)))]
            picture = self._upright_crop(crop)
            whole = (0, 0, *picture.shape[:2])
            picture, text = self.rearranged(("crop", crop.img_id, 0), crop.text, picture, whole, rng)
            return picture, np.full(picture.shape[:2], 255, "uint8"), text, None
        return self._new_drawn(rng)

    def _new_drawn(self, rng) -> tuple[np.ndarray, np.ndarray, str, Places]:
        return self.painter.draw_sampled(rng, self._foreign, self._longer)

    def rearranged(self, key: PlateKey, text: str, picture, box, rng) -> tuple[np.ndarray, str]:
        groups = self.own.cuts.get(key, [])
        if not groups or rng.random() >= self.mixture.rearranged:
            return picture, text
        return rearranged(picture, box, groups, text, rng)

    def _upright_crop(self, crop: Crop) -> np.ndarray:
        return turn_picture(self.cache.read(crop.path), crop.turns)

    def background(self, rng) -> np.ndarray:
        """A random window of a photograph, for the surroundings of a synthetic plate; uint8."""
        photograph = self.photographs[int(rng.integers(len(self.photographs)))]
        return window_of(self.cache.read(photograph.path), rng)

    def _beside_a_plate(self, rng) -> tuple[np.ndarray, np.ndarray]:
        """A window of a photograph, as large as a plate could be, that misses its plates: uint8 picture, box in it."""
        photograph = self.photographs[int(rng.integers(len(self.photographs)))]
        return beside_plates(self.cache.read(photograph.path), [plate.box_px for plate in photograph.plates], rng)

    def _plates_with_places(self) -> list[tuple[int, Places]]:
        """The real plates of which it is known where each character stands, by their numbers, in shares of the box."""
        keyed = [(one.key, one.text) for one in self.texted]
        keyed += [(("crop", crop.img_id, 0), crop.text) for crop in self.crops]
        found = [places_by_cuts(text, self.own.cuts[key]) if key in self.own.cuts else None for key, text in keyed]
        return [(number, places) for number, places in enumerate(found) if places]
