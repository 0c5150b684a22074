"""A stand-in for a trained model: an engine that finds magenta rectangles and reads them as `12T345`."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from lpr_e2e.common.procedure import TODAY, Procedure
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.prediction.description import Description
from lpr_e2e.prediction.driver import Driver
from lpr_e2e.prediction.reader import PlateReader

MAGENTA = (255, 0, 255)
VOCABULARY = Vocabulary("0123456789NT", 8)
CANVAS = 320
# One look, one glimpse: what an engine is asked, and what it says, is easy to say.
PROCEDURE = Procedure(
    plates=2,
    second_look=0,
    reading_scales=(1.0,),
    doubt=0.8,
    moved=(0.0,),
    without_gaps=False,
    spared_plates=1000,
    step_back=0.0,
)
# The procedure before there were versions: without what came later.
LATER = {
    "step_back": 0.0,
    "filling_plate": 1.0,
    "equalised": 0.0,
    "further_share": 1.0,
    "without_gaps": False,
    "spared_plates": 1000,
    "sure_plate": 1.0,
    "distant_plate": 0.0,
    "closer_further_confidence": 0.3,
    "part_edge": 0.0,
    "unseen_threshold": 1.0,
    "part_plates": 0,
    "large_photograph": 0,
    "part_pixels": (480.0,),
    "part_overlap": 0.2,
    "tile_confidence": 0.2,
    "tile_doubt": 1.0,
    "other_form": 0.4,
    "edge": 0.0,
    "moved": (0.0,),
    "moved_noise": 0.02,
}
FIRST = replace(TODAY, **LATER)


class MagentaEngine:
    """Calls the bounding box of magenta pixels a plate that says 12T345; a second candidate is never certain.

    Other glimpses, of crops, say 9N if they are bright, else nothing.

    Attributes:
        certainty: of each character of a magenta plate.
        found, read_: number of scenes and of glimpses of each call.
    """

    def __init__(self, certainty: float = 0.9):
        self.certainty = certainty
        self.found: list[int] = []
        self.read_: list[int] = []

    def find(self, scenes):
        assert scenes.dtype == np.uint8 and scenes.shape[1:] == (CANVAS, CANVAS, 3)
        self.found.append(len(scenes))
        boxes, chances = np.zeros((len(scenes), 2, 4), "float32"), np.full((len(scenes), 2), 0.05, "float32")
        for index, scene in enumerate(scenes.astype(int)):
            rows, columns = np.nonzero((scene[..., 0] > 200) & (scene[..., 1] < 60) & (scene[..., 2] > 200))
            if len(rows):
                corners = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
                boxes[index, 0], chances[index, 0] = np.array(corners) / CANVAS, 0.8
        return self.cells(boxes, chances)

    @staticmethod
    def cells(boxes, chances):
        """What the finder gives for boxes `(b, n, 4)` and their probabilities `(b, n)`."""
        boxes, chances = np.asarray(boxes, "float32"), np.asarray(chances, "float32")
        return {
            "objectness": np.log(chances / (1 - chances)),
            "cell_boxes": boxes,
            "cell_turns": np.tile(np.array([9.0, 0.0, 0.0, 0.0], "float32"), (*chances.shape, 1)),
            "cell_tilts": np.zeros(chances.shape, "float32"),
        }

    def read(self, glimpses):
        assert glimpses.dtype == np.uint8
        self.read_.append(len(glimpses))
        return self.answer([self.say(glimpse) for glimpse in glimpses])

    def say(self, glimpse) -> tuple[str, float]:
        """What a glimpse `(height, width, 3)` says, and the certainty of each character."""
        red, green, _ = glimpse.mean((0, 1))
        if red > green + 60:
            return "12T345", self.certainty
        return ("9N" if glimpse.mean() > 127 else ""), 1.0

    @staticmethod
    def answer(said):
        """What the reader gives for texts with certainties."""
        classes = VOCABULARY.classes
        odds = np.stack(
            [
                np.where(np.eye(classes)[VOCABULARY.encode(text)] > 0, certainty, (1 - certainty) / (classes - 1))
                for text, certainty in said
            ]
        )
        logits = np.log(np.maximum(odds, 1e-30)).astype("float32")
        return {"logits": logits, "attention": np.full((*logits.shape[:2], 2, 2), 0.25, "float32")}


class SeveralEngine(MagentaEngine):
    """Sees each magenta plate of at least `least` pixels in its scene, up to `most` of them, the widest first."""

    least, most = 16, 12

    def find(self, scenes):
        self.found.append(len(scenes))
        boxes = np.zeros((len(scenes), self.most, 4), "float32")
        chances = np.full((len(scenes), self.most), 0.05, "float32")
        for index, scene in enumerate(scenes.astype(int)):
            magenta = (scene[..., 0] > 200) & (scene[..., 1] < 60) & (scene[..., 2] > 200)
            _, _, found, _ = cv2.connectedComponentsWithStats(magenta.astype("uint8"))
            found = [one for one in found[1:] if one[2] >= self.least]
            for place, (left, top, width, height, _) in enumerate(sorted(found, key=lambda one: -one[2])[: self.most]):
                boxes[index, place] = np.array([top, left, top + height, left + width]) / CANVAS
                chances[index, place] = 0.8
        return self.cells(boxes, chances)


def description(vocabulary: Vocabulary = VOCABULARY, procedure: Procedure = PROCEDURE) -> Description:
    """That of a model with the engine above."""
    return Description(vocabulary.characters, vocabulary.slots, CANVAS, 1, (32, 64), (2, 2), 1.0, procedure)


def reader(engine=None, format=None, procedure: Procedure = PROCEDURE, several=None) -> PlateReader:
    """A reader with this engine; `several` are engines that read at the same time."""
    about = description(procedure=procedure)
    drivers = several if several is None or callable(several) else lambda: [Driver(one, about) for one in several]
    return PlateReader(Driver(engine or MagentaEngine(), about), format, drivers)


def car(height=240, width=320, box=(100, 60, 140, 180)):
    """A grey photograph with a magenta plate."""
    photograph = np.full((height, width, 3), 120, "uint8")
    top, left, bottom, right = box
    photograph[top:bottom, left:right] = MAGENTA
    return photograph


def street(*boxes, sides=(480, 640)):
    """A grey photograph with magenta plates."""
    photograph = np.full((*sides, 3), 120, "uint8")
    for top, left, bottom, right in boxes:
        photograph[top:bottom, left:right] = MAGENTA
    return photograph


def seeing_model(architecture, procedure: Procedure, find: float, read: float):
    """A Keras model that has learned nothing, but finds something everywhere and reads something in it.

    Its objectness and its characters are as certain as its random weights times `find` and `read` make them.
    """
    import keras  # Late: who stands in for a model needs no Keras.

    from lpr_e2e.model.plate_model import PlateModel

    keras.utils.set_random_seed(3)
    model = PlateModel(architecture, "0123456789T", 8, procedure)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(rng.uniform(0.8, 1.2, weight.shape))
        elif weight.path.endswith(("beta", "moving_mean")):
            weight.assign(rng.normal(0, 0.1, weight.shape))
        elif "find_objectness" in weight.path:
            weight.assign([1.0] if weight.path.endswith("bias") else np.asarray(weight) * find)
        elif "find_distances" in weight.path:
            weight.assign(np.asarray(weight) * 0.1)
        elif "classifier" in weight.path:
            weight.assign(np.asarray(weight) * read)
    model.temperature.assign(1.3)
    return model


def with_plates(photographs, **changes) -> list:
    """Photographs with these values of all of their plates replaced."""
    return [replace(one, plates=tuple(replace(plate, **changes) for plate in one.plates)) for one in photographs]
