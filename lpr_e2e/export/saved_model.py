"""The reading procedure as one TensorFlow graph: the bytes of photographs in, boxes and texts out.

It is the procedure of `lpr_e2e.prediction.driver`, traced over the model's two networks. Here is only what it needs of
a graph: its operations on tensors, decoding, and the texts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf
from keras import ops

from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.steps import certainties
from lpr_e2e.export.decoding import decoded
from lpr_e2e.export.forms import SAVED_MODEL
from lpr_e2e.export.networks import Networks
from lpr_e2e.model.glimpse import cut_glimpses
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.driver import Driver
from lpr_e2e.prediction.engines.keras_model import describe


def write_saved_model(model: PlateModel, folder: Path) -> None:
    """`saved_model/`: bytes of photographs in, see `Serving.serve`; its one signature is `serving_default`."""
    serving = Serving(model)
    tf.saved_model.save(serving, folder / SAVED_MODEL, signatures={"serving_default": serving.serve})


class Serving(tf.Module):
    """A model with the reading procedure and the decoding of photographs as one TensorFlow function."""

    def __init__(self, model: PlateModel):
        super().__init__()
        self.engine, self.description = GraphEngine(model), describe(model)
        self.arrays = GraphArrays(self.description.procedure.most_reported)
        self.driver = Driver(self.engine, self.description, self.arrays)
        self.names = tf.constant(["", *self.description.characters])
        # The procedure is written in Python that means what it says: nothing of it is to be rewritten for a graph.
        signature = [tf.TensorSpec((None,), tf.string, name="photographs")]
        self.serve = tf.function(self._serve, input_signature=signature, autograph=False)

    def _serve(self, photographs):
        """Read photographs.

        Args:
            photographs: string `(n,)`: the bytes of JPEG, PNG, GIF or BMP files.

        Returns:
            of each photograph `readable` `(n,)`, whether it could be decoded, and of the up to K plates to report, the
            most certain first: `boxes_px` float `(n, K, 4)` yxyx in pixels of the photograph, turned as its EXIF says;
            `box_confidence` `(n, K)`: below 0.3 there is no plate; `texts` string `(n, K)`; `confidence` `(n, K)` of
            the weakest character; and `characters` `(n, K, slots, classes)`: their probabilities.
        """
        shapes = {name: tf.TensorSpec(value.shape, value.dtype) for name, value in self._nothing().items()}
        return tf.map_fn(self._read_photograph, photographs, fn_output_signature=shapes)

    def _nothing(self) -> dict:
        """The answer for what is no picture."""
        plates, slots, classes = self.arrays.rows, self.description.slots, self.description.vocabulary.classes
        return {
            "readable": tf.constant(False),
            "boxes_px": tf.zeros((plates, 4)),
            "box_confidence": tf.zeros((plates,)),
            "texts": tf.fill((plates,), ""),
            "confidence": tf.zeros((plates,)),
            "characters": tf.zeros((plates, slots, classes)),
        }

    def _read_photograph(self, encoded) -> dict:
        photograph, readable = decoded(encoded)
        return tf.cond(readable, lambda: self._read_picture(photograph), self._nothing)

    def _read_picture(self, photograph) -> dict:
        grey = self.description.procedure.letterbox_grey
        canvas, frame = self.arrays.letterbox(photograph, self.description.canvas_size, grey)
        (seen,) = self.driver.read([photograph], canvas, [frame])
        # The confidence of the best candidate says by how much a plate was missed.
        is_first = tf.range(self.arrays.rows) == 0
        missed = tf.where(is_first, seen["best_box_confidence"], 0.0)
        is_plate = tf.reduce_any(seen["box_confidence"] > 0)
        return {
            "readable": tf.constant(True),
            "boxes_px": seen["boxes_px"],
            "box_confidence": tf.where(is_plate, seen["box_confidence"], missed),
            "texts": self._texts(seen["characters"]),
            "confidence": seen["confidence"],
            "characters": seen["characters"],
        }

    def _texts(self, characters) -> tf.Tensor:
        """The likeliest texts, string `(K,)`, as `lpr_e2e.prediction.reading.to_reading` gives them."""
        confidence, within = certainties(characters, ops, self.description.vocabulary.unseen)
        within = ops.logical_and(within, confidence[..., None] > 0)  # What only has holes says nothing.
        letters = tf.where(within, tf.gather(self.names, tf.argmax(characters, axis=-1)), "")
        return tf.strings.reduce_join(letters, axis=-1)


# Keeps a function from being copied to each of the places where it is called: with a dozen copies of the networks,
# TensorFlow would take twice as long to start.
_ONE_COPY = {"_noinline": True}


class GraphEngine(tf.Module):
    """The two networks in a graph, see `lpr_e2e.prediction.engines.Engine`: of nothing they give nothing.

    TensorFlow's convolutions do not take an empty batch in every case.
    """

    def __init__(self, model: PlateModel):
        super().__init__()
        self.networks = Networks(model)
        self._find, self._read = (
            tf.function(network, input_signature=[signature], experimental_attributes=_ONE_COPY)
            for network, signature in (
                (self.networks.find, self.networks.scenes),
                (self.networks.read, self.networks.glimpses),
            )
        )

    def find(self, scenes) -> dict:
        return self._run(self._find, scenes)

    def read(self, glimpses) -> dict:
        return self._run(self._read, glimpses)

    def _run(self, network, batch) -> dict:
        shapes = network.get_concrete_function().structured_outputs

        def nothing():
            return {name: tf.zeros((0, *values.shape[1:]), values.dtype) for name, values in shapes.items()}

        return tf.cond(tf.shape(batch)[0] > 0, lambda: network(batch), nothing)


class Frame(NamedTuple):
    """How a photograph lies in its canvas, see `lpr_e2e.common.boxes.Letterbox`.

    Attributes:
        sides: float64 `(2,)`: height and width of the photograph, pixels.
        size: side of the canvas, pixels.
    """

    sides: tf.Tensor
    size: int

    @property
    def scale(self) -> tf.Tensor:
        return self.size / tf.reduce_max(self.sides)

    @property
    def offset(self) -> tf.Tensor:
        return (self.size - self.sides * self.scale) / 2

    def to_rel(self, boxes_px) -> tf.Tensor:
        offset, scale = (tf.cast(one, tf.float32) for one in (self.offset, self.scale))
        return (tf.cast(boxes_px, tf.float32) * scale + tf.tile(offset, [2])) / self.size

    def to_px(self, boxes_rel) -> tf.Tensor:
        offset, scale, sides = (tf.cast(one, tf.float32) for one in (self.offset, self.scale, self.sides))
        return tf.clip_by_value((boxes_rel * self.size - tf.tile(offset, [2])) / scale, 0.0, tf.tile(sides, [2]))


class GraphArrays:
    """The reading procedure's operations on tensors: what `lpr_e2e.prediction.driver.Arrays` asks for.

    How many places there are is known when the graph runs, not when it is built: what is computed for them is in the
    graph in any case, and costs little for none.

    Args:
        rows: the most plates that are reported; where there are fewer, zeros follow.
    """

    xp, pixels = ops, "float32"

    def __init__(self, rows: int):
        self.rows = rows
        self._cutting: dict[tuple, Callable] = {}

    def choose(self, mask):
        return tf.where(mask)[:, 0]

    def none(self, places) -> bool:
        return False

    def put(self, values, places, new):
        return tf.tensor_scatter_nd_update(values, places[:, None], new)

    def zeros(self, shape: tuple[int, ...], dtype: str = "float32"):
        return tf.zeros(shape, dtype)

    def scenes(self, canvases, shrink: int):
        return tf.round(ops.average_pool(tf.cast(canvases, tf.float32), shrink, shrink))

    def cut(self, canvases, images, boxes_rel, quarters, tilts, size, margin, samples: int, procedure: Procedure):
        if canvases.shape[0] > 1:
            canvases = tf.gather(canvases, images)
        kind = (size, margin, samples, procedure)
        if kind not in self._cutting:

            def cut(canvases, boxes_rel, quarters, tilts):
                return cut_glimpses(canvases, boxes_rel, quarters, size, margin, procedure, samples, tilts)

            self._cutting[kind] = tf.function(cut, autograph=False, experimental_attributes=_ONE_COPY)
        return self._cutting[kind](canvases, boxes_rel, quarters, tilts)

    def letterbox(self, photograph, size: int, grey: int) -> tuple[tf.Tensor, Frame]:
        frame = Frame(tf.cast(tf.shape(photograph)[:2], tf.float64), size)
        inner = tf.maximum(1, tf.cast(tf.round(frame.sides * frame.scale), tf.int32))
        resized = tf.cond(
            frame.scale < 1,
            lambda: tf.image.resize(photograph, inner, method="area"),
            lambda: tf.image.resize(photograph, inner, method="bilinear"),
        )
        start = tf.minimum(tf.cast(tf.round(frame.offset), tf.int32), size - inner)
        around = tf.pad(tf.stack([start, size - inner - start], axis=1), [[0, 1], [0, 0]])
        canvas = tf.pad(tf.cast(tf.round(resized), tf.uint8), around, constant_values=grey)
        return tf.ensure_shape(canvas, (size, size, 3))[None], frame

    def sides(self, photograph):
        return tf.cast(tf.shape(photograph)[:2], tf.int64)

    def crop(self, photograph, part):
        return photograph[part[0] : part[2], part[1] : part[3]]

    def each(self, places, work: Callable[[Any], dict], nothing: dict) -> dict:
        shapes = {name: tf.TensorSpec(values.shape, values.dtype) for name, values in nothing.items()}
        # One after the other: canvases of a hundred parts would not fit into memory.
        done = tf.map_fn(lambda place: work(place[None]), places, parallel_iterations=1, fn_output_signature=shapes)
        return {name: tf.reshape(values, (-1, *values.shape[2:])) for name, values in done.items()}

    def when(self, condition, then: Callable[[], dict], otherwise: Callable[[], dict]) -> dict:
        if isinstance(condition, bool):
            return then() if condition else otherwise()
        return tf.cond(condition, then, otherwise)

    def select(self, values: dict, kept) -> dict:
        places = self.choose(kept)[: self.rows]
        missing = self.rows - tf.size(places)

        def chosen(one):
            around = [[0, missing], *[[0, 0]] * (len(one.shape) - 1)]
            return tf.ensure_shape(tf.pad(tf.gather(one, places), around), (self.rows, *one.shape[1:]))

        return {name: chosen(one) for name, one in values.items()}
