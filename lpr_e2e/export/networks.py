"""The two networks of a model as TensorFlow functions, and what a reader must know besides them."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import tensorflow as tf

from lpr_e2e.model.plate_model import PlateModel

# The finder's last convolutions, see `lpr_e2e.model.box_head`. They are never computed in 8 bits: 256 steps are few for
# the distance to an edge.
LAST_CONVOLUTIONS = ("find_objectness", "find_turns", "find_distances", "find_tilts")


class Networks(tf.Module):
    """The two networks of a model as TensorFlow functions.

    `find` takes scenes float32 `(n, side, side, 3)`, `read` glimpses float32 `(n, height, width, 3)`, both 0..255. What
    they give is described at `lpr_e2e.prediction.exported.ExportedModel`.
    """

    def __init__(self, model: PlateModel):
        super().__init__()
        self.model = model
        side = model.canvas_size // model.architecture.scene_shrink
        self.scenes = tf.TensorSpec((None, side, side, 3), tf.float32, name="scenes")
        self.glimpses = tf.TensorSpec((None, *model.architecture.glimpse_size, 3), tf.float32, name="glimpses")
        self.find = tf.function(self._find, input_signature=[self.scenes])
        self.read = tf.function(self._read, input_signature=[self.glimpses])
        self.kept = [weight.value for weight in model.weights]  # TensorFlow saves the variables that it sees here.

    def _find(self, scenes):
        return self.model.finder(scenes / 127.5 - 1.0, training=False)

    def _read(self, glimpses):
        answer = self.model.read(glimpses, training=False)
        return {"logits": answer["logits"][:, -1], "attention": answer["attention"]}


def description(model: PlateModel) -> dict:
    """What `lpr_e2e.prediction.exported.ExportedModel` needs to know besides the networks."""
    sizes = model.architecture
    attention = model.reader.output["attention"].shape
    return {
        "characters": model.vocabulary.characters,
        "slots": model.vocabulary.slots,
        "canvas_size": sizes.canvas_size,
        "scene_shrink": sizes.scene_shrink,
        "glimpse_size": list(sizes.glimpse_size),
        "grid_size": list(attention[-2:]),
        "plates": sizes.plates,
        "second_look": sizes.second_look,
        "reading_scales": list(sizes.reading_scales),
        "sure": sizes.sure,
        "temperature": float(model.temperature),
        "doubt": sizes.doubt,
        "rectify": sizes.rectify,
    }


def fingerprint(model: PlateModel) -> str:
    """SHA-256, in hexadecimal, of all that decides what a model reads: its configuration and its weights."""
    digest = hashlib.sha256(json.dumps(model.get_config(), sort_keys=True).encode())
    for weight in model.weights:
        digest.update(weight.path.encode())
        digest.update(np.ascontiguousarray(weight.numpy()).tobytes())
    return digest.hexdigest()
