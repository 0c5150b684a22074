"""The samples of one data set: its photographs, and separate plates like its own, augmented.

Each is a function of the data, the seed, the batch's step and the sample's place in it alone; see `batches`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lpr_e2e.common.architecture import Architecture
from lpr_e2e.common.boxes import aspect, rectangle_corners
from lpr_e2e.common.places import places_by_cuts
from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.samples import Crop, Dataset, Photograph, Plate, PlateKey
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.training.augmentation import (
    SMALLEST_PASTED,
    boxes_around,
    glimpse_of_plate,
    paste_plate,
    write_on,
)
from lpr_e2e.training.canvas import CLOSE_VIEW, CanvasMotion, boxes_of, photograph_on_canvas
from lpr_e2e.training.light import Light
from lpr_e2e.training.partly import covered_drawn, cut_photograph, of_box
from lpr_e2e.training.picture_cache import PictureCache
from lpr_e2e.training.plate_sources import ECHO_STEPS, ECHOES, PlateSources
from lpr_e2e.training.pseudo_labels import PseudoLabels
from lpr_e2e.training.settings import Mixture
from lpr_e2e.training.told import as_told

# Numbers of the random streams: of stage one; of stage two its photographs, their order, its separate plates.
RECOGNITION, JOINT, _ORDER, PLATES = range(1, 5)
# Of the pasted plates of which something cannot be seen, the share that is covered; the others are cut off.
_COVERED = 0.5
# Pieces of writing that a photograph with writing has at most.
_MOST_WRITINGS = 3
# Standard deviation of the error of tilts that are not the predicted ones, radians.
_TILT_ERROR = 0.05
# Standard deviation of a plate's tilt in its glimpse, degrees: usually, and at most for the share of the others.
_TILT, _TILT_STRONG, _TILT_USUAL = 2.5, 9.0, 0.6


class SetSamples:
    """Makes the samples of one data set, for the batches of both stages.

    Args:
        dataset: the data to train on.
        vocabulary, architecture, procedure: of the model that is trained.
        painter: draws the synthetic plates.
        mixture: shares of the sources.
        seed: of everything random.
        own: what the model itself added to the labels, or None.
        cache: of the decoded pictures.
        most_plates: for which a photograph's sample has room, at least those of the data; None: as many.
        texts: of the training, of whose forms no writing is; None: those of the data.
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
        cache: PictureCache | None = None,
        most_plates: int | None = None,
        texts: Sequence[str] | None = None,
    ):
        self.own = own or PseudoLabels()
        self.vocabulary, self.architecture, self.procedure = vocabulary, architecture, procedure
        self.painter, self.mixture, self.seed = painter, mixture, seed
        self.photographs = self.own.applied(as_told(dataset.photographs, mixture))
        self.most_plates = most_plates or dataset.most_plates()
        self.straight_aspect = dataset.straight_aspect()
        self._light = Light(
            mixture.hardness,
            mixture.harsh,
            mixture.moved,
            mixture.undone,
            procedure.moved_noise,
            mixture.equalised,
            procedure.equalised,
        )
        self._motion = CanvasMotion(
            architecture.canvas_size,
            procedure.letterbox_grey,
            self._light,
            mixture.turned,
            mixture.tilted,
            mixture.close if procedure.second_look else 0.0,
            CLOSE_VIEW * procedure.second_look,
            mixture.distant,
            self.straight_aspect,
        )
        self.crops: list[Crop] = [crop for crop in dataset.crops if crop.turns is not None]
        self.cache = cache or PictureCache()
        self.sources = PlateSources(
            self.photographs,
            self.crops,
            vocabulary,
            architecture.glimpse_size[0],
            procedure,
            painter,
            mixture,
            seed,
            self.own,
            self.cache,
            dataset.training_texts() if texts is None else texts,
        )

    def plate(self, stream: int, step: int, place: int, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], str]:
        """The glimpse of a separate plate at a place of a random stream's step, and the name of its source.

        The glimpse is what `BatchMaker.plates` gives of one plate.
        """
        moment = _moment(step, place)
        drawn = (stream, place, moment // (ECHOES * ECHO_STEPS), moment % ECHO_STEPS)
        plate = self.sources.maker(*drawn)(rng, drawn)
        hardness = self.mixture.hardness
        tilt = _TILT if rng.random() < _TILT_USUAL else max(_TILT, _TILT_STRONG * hardness)
        corners, detail = rectangle_corners(plate.box), 1 - (1 - plate.detail) * hardness
        size, margin = self.architecture.glimpse_size, self.procedure.margin
        glimpse, to_shares = glimpse_of_plate(
            plate.picture, corners, size, margin, self._light, rng, tilt, detail, plate.behind
        )
        places = np.zeros((self.vocabulary.slots, 4), "float32")
        # Where several characters make one cluster, a slot has no place of its own.
        if plate.places and len(plate.places.parts) == len(plate.text):
            places[: len(plate.text)] = boxes_around(plate.places.boxes, to_shares).clip(0, 1)
        glimpse = {"glimpses": glimpse, "glimpse_classes": self.vocabulary.encode(plate.text), "glimpse_places": places}
        return glimpse, f"plate: {plate.source}"

    def photograph(
        self, number: int, predicted_share: float, rng: np.random.Generator
    ) -> tuple[dict[str, np.ndarray], str]:
        """The sample of stage two with this number, counted over the training, and the name of its source; see
        `BatchMaker.joint_batch`.

        Every photograph is seen once before any is seen again, and each time another one of its plates is read.
        """
        turn, position = divmod(number, len(self.photographs))
        order = np.random.default_rng([self.seed, _ORDER, turn]).permutation(len(self.photographs))
        photograph = self.photographs[order[position]]
        return self._photograph(photograph, turn % max(1, len(photograph.plates)), predicted_share, rng)

    def _photograph(
        self, photograph: Photograph, target: int, predicted_share: float, rng
    ) -> tuple[dict[str, np.ndarray], str]:
        """As `photograph`, of this one, in which the plate number `target` is read."""
        picture = self.cache.read(photograph.path)
        # The plate to read comes first.
        order = [target, *(number for number in range(len(photograph.plates)) if number != target)]
        plates = [photograph.plates[number] for number in order if number < len(photograph.plates)]
        tilts = [self._known_tilt(photograph, number) for number in order[: len(plates)]]
        hide = rng.random() < self.mixture.hidden
        source = "no plate on it"
        # A stream of its own: what is shown whole stays the same.
        partly, written = rng.spawn(2)
        if not self.sources.partly or hide or partly.random() >= self.sources.partly:
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
        boxes_px, written_px = [plate.box_px for plate in plates], []
        if written.random() < self.mixture.written:
            for _ in range(int(written.integers(1, _MOST_WRITINGS + 1))):
                picture, box = write_on(picture, boxes_px, self.sources.writing(written), written)
                written_px += [] if box is None else [box]
            source = f"{source}, writing"
        shown = photograph_on_canvas(picture, boxes_px, self._motion, rng, hide, written_px)
        written_rel = np.zeros((_MOST_WRITINGS, 4), "float32")
        written_rel[: len(shown.written_rel)] = shown.written_rel
        if plates and not shown.whole()[0]:
            source = "no plate to see"
        boxes = boxes_of(plates, tilts, shown, self.most_plates)
        sample = {
            "canvases": shown.canvas,
            "complete": np.float32(photograph.complete),
            "written_rel": written_rel,
            **boxes,
            **self._reading_of(plates, boxes, predicted_share, photograph.complete, rng),
        }
        return sample, f"photograph: {source}"

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
        other, outline, text, places = self.sources.new_plate(rng)
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


def _moment(step: int, place: int) -> int:
    # The places of a batch change their plates in turn, so that no batch takes longer than the next one.
    return step + place * ECHO_STEPS


def kept_plate(step: int, place: int) -> int:
    """The number of the plate, counted over the training, that a place of the batches shows at a step: it stays the
    same for `ECHOES * ECHO_STEPS` steps, in which `ECHO_STEPS` plates take turns."""
    return _moment(step, place) // (ECHOES * ECHO_STEPS)
