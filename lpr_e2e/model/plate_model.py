"""The one model: finds the plates on a photograph, looks again at each, and reads it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from lpr_e2e.common.architecture import Architecture
from lpr_e2e.common.procedure import (
    FURTHER_CONFIDENCE,
    LEAST_CONFIDENCE,
    LEAST_TURN,
    SAME_PLATE_IOU,
    SURE_CONFIDENCE,
    TILTS,
    TURN_POWER,
    window_margin,
)
from lpr_e2e.common.vocabulary import BLANK, Vocabulary
from lpr_e2e.model.backbone import Backbone, convolution_block
from lpr_e2e.model.box_head import best_plates, box_head, pairwise_iou
from lpr_e2e.model.decoder import AttentionDecoder
from lpr_e2e.model.glimpse import cut_glimpses


@keras.saving.register_keras_serializable("lpr_e2e")
class PlateModel(keras.Model):
    """Shared backbone, box-regression head and attention sequence decoder in one Keras model.

    `model(canvases)` takes uint8 or float `(batch, canvas_size, canvas_size, 3)` RGB, 0..255, and returns, for the K
    most certain plates of each photograph, in the order of the first look:

    * `boxes_rel` `(batch, K, 4)` yxyx, 0..1 of the canvas; `box_confidence` `(batch, K)` in 0..1;
    * `turns` `(batch, K, 4)`: probabilities that `numpy.rot90(photograph, k)` puts the plate upright; `tilts`
      `(batch, K)`: radians that it is then still turned clockwise;
    * `characters` `(batch, K, slots, classes)`: calibrated probabilities;
    * `attention` `(batch, K, slots, rows, columns)`: where each slot looked in its glimpse, sums to 1;
    * `glimpses` `(batch, K, height, width, 3)` float32, 0..255: the first of the `reading_scales`.

    Args:
        architecture: sizes, or their dict.
        characters, slots: the vocabulary, see `lpr_e2e.common.vocabulary.Vocabulary`.
    """

    def __init__(self, architecture: Architecture | dict, characters: str, slots: int, **kwargs):
        # One name for all, so that the weights of two models correspond by their paths.
        super().__init__(**{"name": "plate_model", **kwargs})
        if isinstance(architecture, dict):
            architecture = Architecture.from_config(architecture)
        self.architecture = architecture
        self.vocabulary = Vocabulary(characters, slots)
        self.canvas_size, self.glimpse_size = architecture.canvas_size, architecture.glimpse_size
        self.doubt = architecture.doubt
        backbone = Backbone(architecture.widths, architecture.depths)
        self.finder = self._build_finder(backbone)
        self.reader = self._build_reader(backbone)
        # Divides the logits at prediction; fitted on validation after training (Guo et al. 2017).
        self.temperature = self.add_weight(shape=(), initializer="ones", trainable=False, name="temperature")
        self.built = True

    def _build_finder(self, backbone: Backbone) -> keras.Model:
        side = self.canvas_size // self.architecture.scene_shrink
        scene = keras.Input((side, side, 3), name="scene")
        maps = backbone.features(scene, "scene", stages=4)
        return keras.Model(scene, box_head(maps[1:], self.architecture.head_width), name="finder")

    def _build_reader(self, backbone: Backbone) -> keras.Model:
        """Cells of the grid are 8 pixels high and 4 wide: a narrow digit still spans several columns."""
        glimpse = keras.Input((*self.architecture.glimpse_size, 3), name="glimpse")
        width = self.architecture.head_width
        fine, middle, coarse = backbone.features(glimpse, "glimpse", stages=3)
        grid = layers.Add()(
            [
                layers.AveragePooling2D((2, 1))(convolution_block(fine, "read_fine", width, kernel=1)),
                layers.UpSampling2D((1, 2))(convolution_block(middle, "read_middle", width, kernel=1)),
                layers.UpSampling2D((2, 4))(convolution_block(coarse, "read_coarse", width, kernel=1)),
            ]
        )
        grid = layers.Add()([grid, convolution_block(grid, "read_fuse", width)])
        decoder = AttentionDecoder(
            self.vocabulary.slots,
            self.vocabulary.classes,
            width,
            self.architecture.heads,
            self.architecture.decoder_depth,
            name="decoder",
        )
        logits, attention = decoder(grid)
        return keras.Model(glimpse, {"logits": logits, "attention": attention}, name="reader")

    def find(self, canvases, training=None) -> dict:
        """The dense outputs of `lpr_e2e.model.box_head.box_head` for canvases `(batch, size, size, 3)`, 0..255."""
        shrink = self.architecture.scene_shrink
        scene = ops.average_pool(ops.cast(canvases, "float32"), shrink, shrink)
        return self._find_in_scene(scene, training)

    def _find_in_scene(self, scene, training) -> dict:
        """The finder's outputs for a scene of 0..255."""
        return self.finder(scene / 127.5 - 1.0, training=training)

    def look_again(self, canvases, plate: dict, least, training=None) -> dict:
        """Find one plate per photograph again, in an upright window around it, with the same finder.

        Args:
            canvases: `(batch, size, size, 3)`, 0..255.
            plate: `boxes_rel` `(batch, 4)`, `box_confidence` `(batch,)`, `turns` `(batch, 4)` and `tilts` `(batch,)` of
                the first look.
            least: `(batch,)`: of what has less confidence, the first look stands.

        Returns:
            the same, of the second look where it sees the same plate: box, turns and tilt are its own, the
            confidence is the mean of both. Elsewhere the first look stands.
        """
        first = plate["boxes_rel"]
        side = self.architecture.second_look * ops.max(first[:, 2:] - first[:, :2], axis=-1, keepdims=True)
        corner = (first[:, :2] + first[:, 2:] - side) / 2
        window = ops.concatenate([corner, corner + side], axis=-1)
        scene_side = self.canvas_size // self.architecture.scene_shrink
        upright = ops.argmax(plate["turns"], axis=-1)
        scene = cut_glimpses(canvases, window, upright, scene_side, scene_side, margin=(0.0, 0.0), samples=1)
        again = best_plates(self._find_in_scene(scene, training), 1)
        again = {name: values[:, 0] for name, values in again.items()}
        again |= turned_back(again["boxes_rel"], again["turns"], upright)
        boxes_rel = again["boxes_rel"] * side + ops.tile(corner, (1, 2))
        same = pairwise_iou(boxes_rel[:, None], first) > SAME_PLATE_IOU
        same = ops.logical_and(same, (plate["box_confidence"] >= least)[:, None])
        same = ops.cast(same, boxes_rel.dtype)
        confidence = (plate["box_confidence"] + again["box_confidence"]) / 2
        return {
            "boxes_rel": same * boxes_rel + (1 - same) * first,
            "box_confidence": same[:, 0] * confidence + (1 - same[:, 0]) * plate["box_confidence"],
            "turns": same * again["turns"] + (1 - same) * plate["turns"],
            "tilts": same[:, 0] * again["tilts"] + (1 - same[:, 0]) * plate["tilts"],
        }

    def cut(self, canvases, boxes_rel, turns, scale: float = 1.0, tilts=None):
        """The glimpses `(batch, height, width, 3)` of one box per canvas, see `lpr_e2e.model.glimpse.cut_glimpses`.

        With a `scale`, the window is higher by this factor, and wider by a third of the difference.
        """
        size, margin = self.architecture.glimpse_size, window_margin(scale)
        return cut_glimpses(canvases, boxes_rel, turns, *size, margin, tilts=tilts)

    def read(self, glimpses, training=None) -> dict:
        """Read glimpses.

        Args:
            glimpses: uint8 or float `(batch, height, width, 3)`, 0..255. Each is brought to zero mean and unit
                variance, so that a plate in the dark looks like one in the sun.

        Returns:
            `logits` `(batch, decoder_depth, slots, classes)` (the last layer's are the answer) and `attention`
            `(batch, slots, rows, columns)`.
        """
        return self.reader(_normalised(glimpses), training=training)

    def read_glimpses(self, glimpses) -> np.ndarray:
        """Calibrated probabilities of the characters, `(batch, slots, classes)`, of glimpses as `read` takes them."""
        return ops.convert_to_numpy(ops.softmax(self._read_now(glimpses)["logits"][:, -1] / self.temperature, axis=-1))

    def _read_now(self, glimpses) -> dict:
        """As `read`, with numpy arrays as the answer: outside of a graph, compiled, which is several times as fast."""
        return self.reader.predict_on_batch(ops.convert_to_numpy(_normalised(glimpses)))

    def read_plates(self, canvases, boxes_rel, turns, tilts=None, read=None) -> dict:
        """Read one plate per canvas, in all `reading_scales` unless the first is enough.

        Args:
            canvases, boxes_rel, turns, tilts: see `lpr_e2e.model.glimpse.cut_glimpses`.
            read: does what `read` does, which is the default.

        Returns:
            `characters`, `attention` and `glimpses` as `call` gives them, without the axis of plates.
        """
        scales = self.architecture.reading_scales
        glimpses = [self.cut(canvases, boxes_rel, turns, scale, tilts) for scale in scales]
        answer = (read or self.read)(ops.concatenate(glimpses))
        logits = ops.convert_to_tensor(answer["logits"])[:, -1]
        logits = ops.reshape(logits, (len(scales), -1, *logits.shape[1:]))
        logs = ops.log_softmax(logits, axis=-1)
        first, agreed = (ops.softmax(one / self.temperature, axis=-1) for one in (logs[0], ops.mean(logs, axis=0)))
        sure = ops.cast(certainties_of(first)[0] >= self.architecture.sure, "float32")[:, None, None]
        return {
            "characters": sure * first + (1 - sure) * agreed,
            "attention": answer["attention"][: ops.shape(canvases)[0]],
            "glimpses": glimpses[0],
        }

    def read_again(self, canvas, box_rel, turns) -> dict:
        """Read one plate from all sides, for when `call` reads it with doubt.

        It is read at all likely quarter turns and at several tilts, and then in all `reading_scales` at the turn and
        tilt whose reading is the most certain. A plate of 0, 1, 6, 8 and 9 also reads well upside down, so these
        certainties are multiplied by the turn's probability to the power of `TURN_POWER`.

        Args:
            canvas: `(size, size, 3)`, 0..255.
            box_rel: `(4,)` yxyx, 0..1 of the canvas.
            turns: `(4,)`: how likely each quarter turn is.

        Returns:
            numpy arrays `characters` `(slots, classes)`, `attention` `(slots, rows, columns)` and `glimpses`
            `(height, width, 3)`, as `call` gives them.
        """
        canvas, box = ops.convert_to_tensor(canvas)[None], ops.convert_to_tensor(box_rel, "float32")[None]
        sides, tilts = (values.ravel() for values in np.meshgrid(np.arange(4), TILTS, indexing="ij"))
        sides, tilts, likely = sides.astype("int32"), tilts.astype("float32"), np.asarray(turns)[sides]
        glimpses = self.cut(canvas, ops.tile(box, (len(sides), 1)), sides, tilts=tilts)
        answers = ops.convert_to_numpy(ops.softmax(self._read_now(glimpses)["logits"][:, -1], axis=-1))
        certainties = np.array([self.vocabulary.certainty(characters) for characters in answers])
        best = int(np.argmax(certainties * likely**TURN_POWER * (likely >= LEAST_TURN)))
        answer = self.read_plates(canvas, box, sides[best : best + 1], tilts[best : best + 1], self._read_now)
        return {name: ops.convert_to_numpy(values)[0] for name, values in answer.items()}

    def call(self, canvases, training=None) -> dict:
        found = best_plates(self.find(canvases, training=training), self.architecture.plates)
        least = ops.full_like(found["box_confidence"][:, 0], LEAST_CONFIDENCE)
        seen = []
        for index in range(self.architecture.plates):
            first_look = {name: values[:, index] for name, values in found.items()}
            plate = first_look
            if self.architecture.second_look:
                plate = self.look_again(canvases, first_look, least, training=training)
            if not seen:
                least = ops.where(plate["box_confidence"] >= SURE_CONFIDENCE, FURTHER_CONFIDENCE, least)
            turns = ops.argmax(plate["turns"], axis=-1)
            tilts = plate["tilts"] if self.architecture.rectify else None
            seen.append({**plate, **self.read_plates(canvases, plate["boxes_rel"], turns, tilts)})
        return {name: ops.stack([plate[name] for plate in seen], axis=1) for name in seen[0]}

    def get_config(self):
        return {
            "architecture": asdict(self.architecture),
            "characters": self.vocabulary.characters,
            "slots": self.vocabulary.slots,
        }


def _normalised(glimpses):
    """Glimpses of any numbers, each brought to zero mean and about unit variance, float32."""
    glimpses = ops.cast(glimpses, "float32")
    mean = ops.mean(glimpses, axis=(1, 2, 3), keepdims=True)
    deviation = ops.sqrt(ops.mean(ops.square(glimpses - mean), axis=(1, 2, 3), keepdims=True) + 16.0)
    return (glimpses - mean) / deviation


def certainties_of(characters):
    """How certain readings are, as `lpr_e2e.common.vocabulary.Vocabulary.certainty`, in a graph.

    Args:
        characters: float `(..., slots, classes)` probabilities.

    Returns:
        float `(...)`: the probability of the weakest character, the end of the text included; 0 without a text; and
        bool `(..., slots)`: which slots hold the text.
    """
    within = ops.cumprod(ops.cast(ops.argmax(characters, axis=-1) != BLANK, "int32"), axis=-1) > 0
    # The first slot after the text counts too: it says that the text ends there.
    counted = ops.concatenate([ops.ones_like(within[..., :1]), within[..., :-1]], axis=-1)
    weakest = ops.min(ops.where(counted, ops.max(characters, axis=-1), 1.0), axis=-1)
    return ops.where(within[..., 0], weakest, 0.0), within


def turned_back(boxes_rel, turns, quarters) -> dict:
    """What was seen in a square window after `numpy.rot90(window, quarters)`, in the window as it was.

    Args:
        boxes_rel: float `(batch, 4)` yxyx, 0..1 of the turned window.
        turns: float `(batch, 4)`, probabilities of the further quarter turns that put the plate upright.
        quarters: int `(batch,)`.

    Returns:
        `boxes_rel` and `turns` of the same shapes.
    """
    boxes = [boxes_rel]
    for _ in range(3):  # Undo one counter-clockwise quarter: y = x', x = 1 - y'.
        ymin, xmin, ymax, xmax = ops.split(boxes[-1], 4, axis=-1)
        boxes.append(ops.concatenate([xmin, 1 - ymax, xmax, 1 - ymin], axis=-1))
    chosen = ops.one_hot(quarters, 4, dtype=boxes_rel.dtype)[..., None]
    return {
        "boxes_rel": ops.sum(chosen * ops.stack(boxes, axis=1), axis=1),
        "turns": ops.sum(chosen * ops.stack([ops.roll(turns, k, axis=-1) for k in range(4)], axis=1), axis=1),
    }


def load(path: str | Path) -> PlateModel:
    """Load a saved model, without running any code that the file might carry.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no model of this package.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such model file; train one with `python train.py`, or name another")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds for a foreign or broken file.
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"{path}: expected a .keras file written by `python train.py`: {reason}") from error
    if not isinstance(model, PlateModel):
        raise ValueError(f"{path}: holds a {type(model).__name__}, expected a PlateModel written by `python train.py`")
    return model


def parameters(model: keras.Model) -> int:
    """Number of trained scalars."""
    return int(sum(np.prod(weight.shape) for weight in model.trainable_weights))
