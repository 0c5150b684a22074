"""The two networks of a model as TensorFlow functions."""

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
    """The two networks of a model as TensorFlow functions: an engine, see `lpr_e2e.prediction.engines.Engine`.

    `find` takes scenes float32 `(n, side, side, 3)`, `read` glimpses float32 `(n, height, width, 3)`, both 0..255.
    """

    def __init__(self, model: PlateModel):
        super().__init__()
        side = model.architecture.scene_size
        self.scenes = tf.TensorSpec((None, side, side, 3), tf.float32, name="scenes")
        self.glimpses = tf.TensorSpec((None, *model.architecture.glimpse_size, 3), tf.float32, name="glimpses")

        def find(scenes):
            return model.find_in_scenes(scenes, training=False)

        def read(glimpses):
            answer = model.read(glimpses, training=False)
            return {"logits": answer["logits"][:, -1], "attention": answer["attention"]}

        self.find = tf.function(find, input_signature=[self.scenes])
        self.read = tf.function(read, input_signature=[self.glimpses])
        # TensorFlow saves the variables that it sees here; a model that it saw would be saved a second time.
        self.kept = [weight.value for weight in model.weights]


def fingerprint(model: PlateModel) -> str:
    """SHA-256, in hexadecimal, of all that decides what a model reads: its configuration and its weights."""
    digest = hashlib.sha256(json.dumps(model.get_config(), sort_keys=True).encode())
    for weight in model.weights:
        digest.update(weight.path.encode())
        digest.update(np.ascontiguousarray(weight.numpy()).tobytes())
    return digest.hexdigest()
