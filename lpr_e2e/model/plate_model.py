"""The one model: finds the plates in a scene, and reads each in a glimpse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from lpr_e2e.common.architecture import Architecture
from lpr_e2e.common.archives import refuse_unsound
from lpr_e2e.common.backend import our_settings
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.promise import Promise
from lpr_e2e.common.steps import best_plates, softmax
from lpr_e2e.common.text_forms import TextForms
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.model.backbone import Backbone, convolution_block
from lpr_e2e.model.box_head import box_head
from lpr_e2e.model.decoder import AttentionDecoder
from lpr_e2e.model.glimpse import cut_glimpses

# Of what Keras says of a file, which may quote all of it.
_REASON_SHOWN = 500


@keras.saving.register_keras_serializable("lpr_e2e")
class PlateModel(keras.Model):
    """Shared backbone, box-regression head and attention sequence decoder in one Keras model.

    `model(canvases)` is one plain look: it finds the plates and reads each in one glimpse. How photographs are read
    (second looks, several glimpses, doubt) is `lpr_e2e.prediction.driver`, which calls the two networks `find_in_scene`
    and `read`; its numbers are the model's `procedure`.

    It takes uint8 or float `(batch, canvas_size, canvas_size, 3)` RGB, 0..255, and returns, for the K most certain
    plates of each photograph:

    * `boxes_rel` `(batch, K, 4)` yxyx, 0..1 of the canvas; `box_confidence` `(batch, K)` in 0..1;
    * `turns` `(batch, K, 4)`: probabilities that `numpy.rot90(photograph, k)` puts the plate upright; `tilts`
      `(batch, K)`: radians that it is then still turned clockwise;
    * `characters` `(batch, K, slots, classes)`: calibrated probabilities;
    * `attention` `(batch, K, slots, rows, columns)`: where each slot looked in its glimpse, sums to 1;
    * `glimpses` `(batch, K, height, width, 3)` float32, 0..255.

    Args:
        architecture: sizes, or their dict.
        characters, slots: the vocabulary, see `lpr_e2e.common.vocabulary.Vocabulary`.
        procedure: how it is to be used, or its dict; None in the file of a model that carries none.
        promise: what precision it promises, or its dict; None likewise. Fitted after training, like the temperature.
        forms: of the texts it was trained on, see `lpr_e2e.common.text_forms.TextForms.examples`; None likewise.
    """

    @our_settings()  # The program may have changed them for a model of another project.
    def __init__(
        self,
        architecture: Architecture | dict,
        characters: str,
        slots: int,
        procedure: Procedure | dict | None = None,
        promise: Promise | dict | None = None,
        forms: Sequence[str] | None = None,
        **kwargs,
    ):
        # One name for all, so that the weights of two models correspond by their paths.
        super().__init__(**{"name": "plate_model", **kwargs})
        if not isinstance(procedure, Procedure):
            before = architecture if isinstance(architecture, dict) else {}
            procedure = Procedure.from_config(procedure, before)
        if isinstance(architecture, dict):
            architecture = Architecture.from_config(architecture)
        self.architecture, self.procedure = architecture, procedure
        self.promise = promise if isinstance(promise, Promise) else Promise.from_config(promise)
        self.vocabulary = Vocabulary(characters, slots)
        self.text_forms = TextForms.from_config(forms, self.vocabulary)
        backbone = Backbone(architecture.widths, architecture.depths)
        self.finder = self._build_finder(backbone)
        self.reader = self._build_reader(backbone)
        # Divides the logits at prediction; fitted on validation after training (Guo et al. 2017).
        self.temperature = self.add_weight(shape=(), initializer="ones", trainable=False, name="temperature")
        self.built = True

    def _build_finder(self, backbone: Backbone) -> keras.Model:
        scene = keras.Input((*[self.architecture.scene_size] * 2, 3), name="scene")
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
        return self.find_in_scenes(ops.average_pool(ops.cast(canvases, "float32"), shrink, shrink), training)

    def find_in_scenes(self, scenes, training=None) -> dict:
        """The same for scenes `(batch, scene_size, scene_size, 3)`, 0..255."""
        return self.finder(scaled(scenes), training=training)

    def best_plates(self, found: dict, plates: int) -> dict:
        """The most certain plates of what `find` gives, see `lpr_e2e.common.steps.best_plates`."""
        return best_plates(found, plates, self.procedure, ops)

    def cut(self, canvases, boxes_rel, turns, tilts=None):
        """The glimpses `(batch, height, width, 3)` of one box per canvas, see `lpr_e2e.model.glimpse.cut_glimpses`."""
        size, procedure = self.architecture.glimpse_size, self.procedure
        tilts = tilts if procedure.rectify else None
        return cut_glimpses(canvases, boxes_rel, turns, size, procedure.margin, procedure, procedure.samples, tilts)

    def read(self, glimpses, training=None) -> dict:
        """Read glimpses.

        Args:
            glimpses: uint8 or float `(batch, height, width, 3)`, 0..255.

        Returns:
            `logits` `(batch, decoder_depth, slots, classes)` (the last layer's are the answer) and `attention`
            `(batch, slots, rows, columns)`.
        """
        return self.reader(normalised(glimpses), training=training)

    @our_settings()
    def call(self, canvases, training=None) -> dict:
        found = self.best_plates(self.find(canvases, training=training), self.procedure.plates)
        plates = []
        for index in range(self.procedure.plates):
            plate = {name: values[:, index] for name, values in found.items()}
            glimpses = self.cut(canvases, plate["boxes_rel"], ops.argmax(plate["turns"], axis=-1), plate["tilts"])
            answer = self.read(glimpses, training=training)
            characters = softmax(answer["logits"][:, -1] / self.temperature, ops)
            plates.append({**plate, "characters": characters, "attention": answer["attention"], "glimpses": glimpses})
        return {name: ops.stack([plate[name] for plate in plates], axis=1) for name in plates[0]}

    def get_config(self):
        return {
            "architecture": asdict(self.architecture),
            "characters": self.vocabulary.characters,
            "slots": self.vocabulary.slots,
            "procedure": self.procedure.as_config(),
            "promise": self.promise.as_config(),
            "forms": list(self.text_forms.examples),
        }


def scaled(scenes):
    """What the finder takes of scenes of 0..255: float32, -1..1."""
    return ops.cast(scenes, "float32") / 127.5 - 1.0


def normalised(glimpses):
    """What the reader takes of glimpses of any numbers: each with zero mean and about unit variance, float32.

    So a plate in the dark looks like one in the sun.
    """
    glimpses = ops.cast(glimpses, "float32")
    mean = ops.mean(glimpses, axis=(1, 2, 3), keepdims=True)
    deviation = ops.sqrt(ops.mean(ops.square(glimpses - mean), axis=(1, 2, 3), keepdims=True) + 16.0)
    return (glimpses - mean) / deviation


def load(path: str | Path) -> PlateModel:
    """Load a saved model, without running any code that the file might carry.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: the file is no model of this package.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such model file; train one with `python train.py`, or name another")
    try:
        refuse_unsound(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds for a foreign or broken file.
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:_REASON_SHOWN]
        raise UserError(f"{path}: expected a .keras file written by `python train.py`: {reason}") from error
    if not isinstance(model, PlateModel):
        raise UserError(f"{path}: holds a {type(model).__name__}, expected a PlateModel written by `python train.py`")
    return model


def parameters(model: keras.Model) -> int:
    """Number of trained scalars."""
    return int(sum(np.prod(weight.shape) for weight in model.trainable_weights))
