"""Everything in one TensorFlow graph: the bytes of photographs in, boxes and texts out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from lpr_e2e.common.boxes import LETTERBOX_GREY
from lpr_e2e.common.procedure import LEAST_TURN, TILTS, TURN_POWER
from lpr_e2e.export.forms import SAVED_MODEL
from lpr_e2e.model.plate_model import PlateModel, certainties_of
from lpr_e2e.prediction.reader import CLOSER_CERTAINTY, PART
from lpr_e2e.prediction.reading import BOX_THRESHOLD, SAME_PLATE_IOU, is_sure


class Serving(tf.Module):
    """A model with its preprocessing as one TensorFlow function of the bytes of photographs."""

    def __init__(self, model: PlateModel):
        super().__init__()
        self.model = model
        self.kept = [weight.value for weight in model.weights]
        self.names = tf.constant(["", *model.vocabulary.characters])

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="photographs")])
    def serve(self, photographs):
        """Read photographs.

        Args:
            photographs: string `(n,)`: the bytes of JPEG, PNG, GIF or BMP files, upright: EXIF is not looked at.

        Returns:
            for the K most certain plates of each photograph: `boxes_px` float `(n, K, 4)` yxyx, `box_confidence`
            `(n, K)` (below 0.3 there is no plate), `texts` string `(n, K)`, `confidence` `(n, K)` of the weakest
            character, and `characters` `(n, K, slots, classes)`: their probabilities.
        """
        plates, slots = self.model.architecture.plates, self.model.vocabulary.slots
        shapes = {
            "boxes_px": tf.TensorSpec((plates, 4), tf.float32),
            "box_confidence": tf.TensorSpec((plates,), tf.float32),
            "texts": tf.TensorSpec((plates,), tf.string),
            "confidence": tf.TensorSpec((plates,), tf.float32),
            "characters": tf.TensorSpec((plates, slots, self.model.vocabulary.classes), tf.float32),
        }
        return tf.map_fn(self._read_photograph, photographs, fn_output_signature=shapes)

    def _read_photograph(self, encoded):
        photograph = tf.cond(
            tf.io.is_jpeg(encoded),
            # By default TensorFlow decodes faster, and less exactly than Pillow.
            lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
            lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
        )
        photograph.set_shape((None, None, 3))
        answer = self._read_picture(photograph)
        best = tf.argmax(answer["box_confidence"] * answer["confidence"])
        return tf.cond(_ok(answer)[best], lambda: answer, lambda: self._look_closer(photograph, answer))

    def _look_closer(self, photograph, answer):
        """See `PlateReader`: the certain readings of four overlapping parts, or else the answer."""
        sides = tf.shape(photograph)[:2]
        part = tf.cast(tf.math.ceil(PART * tf.cast(sides, tf.float32)), tf.int32)
        corners = [tf.constant(corner) * (sides - part) for corner in ((0, 0), (0, 1), (1, 0), (1, 1))]
        answers = []
        for corner in corners:
            seen = self._read_picture(tf.slice(photograph, [*tf.unstack(corner), 0], [*tf.unstack(part), 3]))
            answers.append(seen | {"boxes_px": seen["boxes_px"] + tf.cast(tf.tile(corner, [2]), tf.float32)})
        seen = {name: tf.concat([one[name] for one in answers], axis=0) for name in answer}
        certain = _ok(seen) & (seen["confidence"] >= CLOSER_CERTAINTY)
        certainty = tf.where(certain, seen["box_confidence"] * seen["confidence"], 0.0)
        plates = self.model.architecture.plates
        kept = tf.image.non_max_suppression(
            seen["boxes_px"], certainty, plates, iou_threshold=SAME_PLATE_IOU, score_threshold=1e-6
        )
        missing = plates - tf.size(kept)

        def filled(values):
            values = tf.gather(values, kept)
            nothing = tf.zeros(tf.concat([[missing], tf.shape(values)[1:]], axis=0), values.dtype)
            return tf.concat([values, nothing], axis=0)

        return tf.cond(
            tf.size(kept) > 0,
            lambda: {name: tf.ensure_shape(filled(values), answer[name].shape) for name, values in seen.items()},
            lambda: answer,
        )

    @tf.function(input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)])
    def _read_picture(self, photograph):
        """What `serve` gives, for one decoded photograph or a part of it; one graph for both."""
        canvas, scale, offset = self._letterbox(photograph)
        outputs = {name: values[0] for name, values in self.model(canvas[None], training=False).items()}
        characters = tf.map_fn(
            lambda plate: self._read_again_in_doubt(canvas, *plate),
            tuple(outputs[name] for name in ("boxes_rel", "turns", "box_confidence", "characters")),
            fn_output_signature=tf.TensorSpec(outputs["characters"].shape[1:], tf.float32),
        )
        certainty, within = certainties_of(characters)
        letters = tf.where(within, tf.gather(self.names, tf.argmax(characters, axis=-1)), "")
        boxes_px = (outputs["boxes_rel"] * float(self.model.canvas_size) - tf.tile(offset, [2])) / scale
        height_width = tf.cast(tf.shape(photograph)[:2], tf.float32)
        return {
            "boxes_px": tf.clip_by_value(boxes_px, 0.0, tf.tile(height_width, [2])),
            "box_confidence": outputs["box_confidence"],
            "texts": tf.strings.reduce_join(letters, axis=-1),
            "confidence": certainty,
            "characters": characters,
        }

    def _letterbox(self, photograph):
        """See `lpr_e2e.common.boxes.Letterbox`: the canvas, its scale, and the offset `(y, x)` in it."""
        size = self.model.canvas_size
        sides = tf.cast(tf.shape(photograph)[:2], tf.float32)
        scale = size / tf.reduce_max(sides)
        inner = tf.maximum(1, tf.cast(tf.round(sides * scale), tf.int32))
        resized = tf.cond(
            scale < 1,
            lambda: tf.image.resize(photograph, inner, method="area"),
            lambda: tf.image.resize(photograph, inner, method="bilinear"),
        )
        offset = (size - sides * scale) / 2
        start = tf.minimum(tf.cast(tf.round(offset), tf.int32), size - inner)
        around = tf.stack([start, size - inner - start], axis=1)
        canvas = tf.pad(tf.round(resized), tf.pad(around, [[0, 1], [0, 0]]), constant_values=float(LETTERBOX_GREY))
        canvas.set_shape((size, size, 3))
        return canvas, scale, offset

    def _read_again_in_doubt(self, canvas, box_rel, turns, box_confidence, characters):
        """See `lpr_e2e.prediction.reader.PlateReader` and `PlateModel.read_again`: the more certain reading."""
        canvas, box = canvas[None], box_rel[None]
        certainty, _ = certainties_of(characters)

        def from_all_sides():
            sides, tilts = (values.ravel() for values in np.meshgrid(np.arange(4), TILTS, indexing="ij"))
            sides, tilts = tf.constant(sides, tf.int32), tf.constant(tilts, tf.float32)
            glimpses = self.model.cut(canvas, tf.tile(box, [sides.shape[0], 1]), sides, tilts=tilts)
            answers = tf.nn.softmax(self.model.read(glimpses, training=False)["logits"][:, -1])
            likely = tf.gather(turns, sides)
            likely = likely**TURN_POWER * tf.cast(likely >= LEAST_TURN, tf.float32)
            best = tf.argmax(certainties_of(answers)[0] * likely)
            place = tf.gather(sides, best)[None], tf.gather(tilts, best)[None]
            again = self.model.read_plates(canvas, box, *place)["characters"][0]
            return tf.where(certainties_of(again)[0] > certainty, again, characters)

        doubtful = (box_confidence >= BOX_THRESHOLD) & (certainty < self.model.doubt)
        return tf.cond(doubtful, from_all_sides, lambda: characters)


def _ok(answer):
    """Which plates of an answer have the status `ok`, see `lpr_e2e.prediction.reading.Reading`."""
    box_confidence, confidence = answer["box_confidence"], answer["confidence"]
    return is_sure(confidence, box_confidence) & (box_confidence >= BOX_THRESHOLD)


def write_saved_model(model: PlateModel, folder: Path) -> None:
    """`saved_model/`: bytes of photographs in, see `Serving.serve`; its one signature is `serving_default`."""
    serving = Serving(model)
    tf.saved_model.save(serving, folder / SAVED_MODEL, signatures={"serving_default": serving.serve})
