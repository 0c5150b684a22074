"""Write a trained model in the forms that other runtimes take, and check each against Keras.

    python -m lpr_e2e export                                      the model that comes with the project
    python -m lpr_e2e export runs/NAME/best.keras --output DIR
    python -m lpr_e2e export --photographs FOLDER                 also compare the readings of these photographs

Into DIR go

* `find.onnx`, `read.onnx` and `weights.bin`: the two networks for ONNX Runtime, with their common weights once;
* `find_int8.onnx`, `read_int8.onnx` and `weights_int8.bin`: the same in 8 bits, which `predict.py` then takes;
* `plates.tflite`: the same as two signatures, `find` and `read`, for LiteRT; `plates_int8.tflite`: in 8 bits;
* `saved_model/`: everything in one for TensorFlow Serving: bytes of a photograph in, boxes and texts out;
* `model.json`: characters and sizes, which all but the last need.

`predict.py --model DIR` reads with the first form for which a runtime is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from lpr_e2e.common.boxes import LETTERBOX_GREY, letterbox, turn_picture
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.images import PictureError, read_picture
from lpr_e2e.common.photographs import find_photographs
from lpr_e2e.common.procedure import LEAST_TURN, TILTS, TURN_POWER
from lpr_e2e.common.terminal import say
from lpr_e2e.evaluation.scoring import read_truth
from lpr_e2e.model.plate_model import PlateModel, certainties_of, load
from lpr_e2e.prediction.exported import (
    DESCRIPTION,
    INT8_FILE,
    ONNX_FILES,
    ONNX_FORMS,
    ONNX_INT8_FILES,
    TFLITE_FILE,
    ExportedModel,
    cut_window,
    onnx_networks,
    second_window,
    shrunk,
    tflite_networks,
)
from lpr_e2e.prediction.reader import CLOSER_CERTAINTY, DEFAULT_MODEL, PART, PlateReader
from lpr_e2e.prediction.reading import BOX_THRESHOLD, SAME_PLATE_IOU, is_sure

FORMS = ("onnx", "tflite", "int8", "saved_model")
ONNX_OPSET = 18
SAVED_MODEL = "saved_model"
# Photographs from which the ranges of the int8 form are measured, each also turned.
_CALIBRATING = 128
# The last convolutions of the finder, see `lpr_e2e.model.box_head`.
_LAST_CONVOLUTIONS = ("find_objectness", "find_turns", "find_distances", "find_tilts")
# Arrays smaller than this stay in the ONNX files themselves, bytes.
_SHARED_FROM = 1024


class Networks(tf.Module):
    """The two networks of a model as TensorFlow functions."""

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


def write_description(model: PlateModel, folder: Path) -> None:
    (folder / DESCRIPTION).write_text(json.dumps(description(model), indent=2) + "\n", encoding="utf-8")


def write_onnx(model: PlateModel, folder: Path) -> None:
    """`find.onnx`, `read.onnx`, and `weights.bin` with the weights of both, those that they share once."""
    import tf2onnx

    networks = Networks(model)
    protos = {
        name: tf2onnx.convert.from_function(getattr(networks, name), [signature], opset=ONNX_OPSET)[0]
        for name, signature in (("find", networks.scenes), ("read", networks.glimpses))
    }
    _share_filters(protos["find"].graph, protos["read"].graph)
    _write_with_weights(protos, folder, ONNX_FILES)


def _write_with_weights(protos: Mapping, folder: Path, files: Mapping[str, str]) -> None:
    """Write networks and, into the file `weights`, what they weigh: arrays that are equal to the byte once."""
    import onnx
    from onnx import external_data_helper, numpy_helper

    places: dict[bytes, tuple[int, int]] = {}
    with open(folder / files["weights"], "wb") as weights:
        for name, proto in protos.items():
            for array in proto.graph.initializer:
                raw = numpy_helper.to_array(array).tobytes()
                if len(raw) < _SHARED_FROM:
                    continue
                if raw not in places:
                    places[raw] = (weights.tell(), len(raw))
                    weights.write(raw + bytes(-len(raw) % 64))  # Aligned, so that a runtime can map the file.
                array.raw_data = raw
                external_data_helper.set_external_data(array, files["weights"], *places[raw])
                array.ClearField("raw_data")
            (folder / files[name]).write_bytes(proto.SerializeToString())
    for name in protos:
        onnx.checker.check_model(str(folder / files[name]))


def _share_filters(first, second) -> None:
    """Let a graph take the filters of its convolutions from another graph, in place.

    Both looks use the same convolutions, but the converter has multiplied each look's normalisation into the filters.
    They still differ by a factor per channel only: the second graph gets the first one's filters and these factors. A
    runtime multiplies them once, when it loads the file.
    """
    from onnx import helper, numpy_helper

    filters = [numpy_helper.to_array(array) for array in first.initializer if len(array.dims) == 4]
    for array in list(second.initializer):
        own = numpy_helper.to_array(array)
        for other in filters if own.ndim == 4 else ():
            factors = _factors(own, other)
            if factors is None:
                continue
            array.CopyFrom(numpy_helper.from_array(other, f"{array.name}_shared"))
            factors_name, name = f"{array.name}_factors", array.name.removesuffix("_shared")
            second.initializer.append(numpy_helper.from_array(factors, factors_name))
            second.node.insert(0, helper.make_node("Mul", [array.name, factors_name], [name]))
            break


def _factors(own: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """Factors `(outputs, 1, 1, 1)` with `own = factors * other`, of filters `(outputs, inputs, h, w)`, if there are."""
    if own.shape != other.shape:
        return None
    axes = (1, 2, 3)
    size = (other.astype("float64") ** 2).sum(axes, keepdims=True)
    factors = (own.astype("float64") * other).sum(axes, keepdims=True) / np.maximum(size, 1e-30)
    alike = np.abs(factors * other - own).max() <= 1e-5 * np.abs(own).max()
    return factors.astype("float32") if alike else None


def write_tflite(model: PlateModel, folder: Path) -> None:
    """`plates.tflite`: float32 arithmetic, weights stored in 16 bits, because normalisation leaves none to share."""
    networks = Networks(model)
    with tempfile.TemporaryDirectory() as temporary:
        tf.saved_model.save(networks, temporary, signatures={"find": networks.find, "read": networks.read})
        converter = tf.lite.TFLiteConverter.from_saved_model(temporary, signature_keys=["find", "read"])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        (folder / TFLITE_FILE).write_bytes(converter.convert())


def examples_of(model: PlateModel, canvases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the two networks are given for photographs: the ranges of all values in 8 bits are measured on it.

    Args:
        model: the model.
        canvases: uint8 `(n, side, side, 3)`.

    Returns:
        scenes of both looks `(2 n, scene, scene, 3)`, and glimpses `(n, height, width, 3)`, float32, 0..255.
    """
    side = model.canvas_size // model.architecture.scene_shrink
    scenes, glimpses = [], []
    for canvas in canvases:
        outputs = {name: values[0, 0] for name, values in model.predict_on_batch(canvas[None]).items()}
        window = second_window(outputs["boxes_rel"], model.architecture.second_look or 1.0)
        scenes.append(shrunk(canvas, model.architecture.scene_shrink))
        scenes.append(cut_window(canvas, window, outputs["turns"].argmax(), (side, side), (0.0, 0.0), 1))
        glimpses.append(outputs["glimpses"])
    return np.stack(scenes).astype("float32"), np.stack(glimpses)


def write_onnx_int8(model: PlateModel, folder: Path, scenes: np.ndarray, glimpses: np.ndarray) -> None:
    """`find_int8.onnx`, `read_int8.onnx`, and `weights_int8.bin` with the weights of both; see `examples_of`.

    Convolutions are computed in 8 bits, but for the last ones of the finder: 256 steps are few for the distance to an
    edge. So are they for the sums of residuals, which makes boxes less exact and saves no time.
    """
    import tf2onnx
    from onnx import TensorProto, numpy_helper

    networks = Networks(model)
    whole = tf.function(lambda scenes: model.finder(scenes, training=False), input_signature=[networks.scenes])
    find = tf2onnx.convert.from_function(whole, [networks.scenes], opset=ONNX_OPSET)[0]
    read = tf2onnx.convert.from_function(networks.read, [networks.glimpses], opset=ONNX_OPSET)[0]
    last = _joined_last_convolutions(find.graph)
    # Black and white among the examples make the steps of the input those of a picture's bytes. So it takes the bytes.
    scenes = scenes.copy()
    scenes[0, 0, 0], scenes[0, 0, 1] = 0, 255
    find = _in_8_bits(find, scenes / 127.5 - 1, last)
    graph = find.graph
    quantize = next(node for node in graph.node if node.op_type == "QuantizeLinear")
    steps = {array.name: numpy_helper.to_array(array) for array in graph.initializer}
    if not np.isclose(steps[quantize.input[1]], 1 / 127.5) or graph.input[0].name != _source(graph, quantize.input[0]):
        raise AssertionError("the first thing that the finder computes in 8 bits is not its input")
    _replace_input(graph, quantize.output[0], quantize.input[0])
    graph.node.remove(quantize)
    graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    del graph.value_info[:]
    decoder = [node.name for node in read.graph.node if "/decoder" in node.name]
    read = _in_8_bits(read, glimpses, decoder)
    _share_bytes(find.graph, read.graph)
    _write_with_weights({"find": find, "read": read}, folder, ONNX_INT8_FILES)


def _in_8_bits(proto, examples: np.ndarray, exact: Sequence[str]):
    """A network with convolutions and ReLUs in 8 bits, but for the nodes named in `exact`.

    Weights get 7 of the 8 bits: processors without instructions for products of bytes add two of these in 16 bits, and
    what does not fit there is cut off without a word. With 8 bits, a finder that is exact on one processor finds
    nothing on another.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as temporary:
        whole, prepared, quantized = (str(Path(temporary) / f"{name}.onnx") for name in ("whole", "prepared", "8 bits"))
        onnx.save(proto, whole)
        quant_pre_process(whole, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            quantized,
            _Examples(proto.graph.input[0].name, examples),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            op_types_to_quantize=["Conv", "Relu"],
            nodes_to_exclude=list(exact),
        )
        return onnx.load(quantized)


class _Examples:
    """Examples one by one, as ONNX Runtime's calibration asks for them."""

    def __init__(self, name: str, examples: np.ndarray):
        self.given = ({name: example[None]} for example in examples)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.given, None)


def _joined_last_convolutions(graph) -> list[str]:
    """Join the finder's last convolutions that see the same map, in place; return the names of all last ones.

    A runtime computes sixteen channels at once, so that four and one in one convolution cost half of two.
    """
    from onnx import helper, numpy_helper

    arrays = {array.name: numpy_helper.to_array(array) for array in graph.initializer}
    together: dict[tuple, list] = {}
    for node in graph.node:
        if node.op_type == "Conv" and any(name in node.input[1] for name in _LAST_CONVOLUTIONS):
            together.setdefault((node.input[0], arrays[node.input[1]].shape[2:]), []).append(node)
    names = []
    for nodes in together.values():
        first, name = nodes[0], f"{nodes[0].name}_joined"
        weights = [arrays[node.input[1]] for node in nodes]
        # The converter leaves out a bias of zeros.
        biases = [
            arrays[node.input[2]] if len(node.input) > 2 else np.zeros(len(own), "float32")
            for node, own in zip(nodes, weights, strict=True)
        ]
        sizes = np.array([len(own) for own in weights], "int64")
        for part, values in (
            ("weights", np.concatenate(weights)),
            ("bias", np.concatenate(biases)),
            ("sizes", sizes),
        ):
            graph.initializer.append(numpy_helper.from_array(values, f"{name}_{part}"))
        inputs = [first.input[0], f"{name}_weights", f"{name}_bias"]
        convolution = helper.make_node("Conv", inputs, [f"{name}:0"], name)
        convolution.attribute.extend(first.attribute)
        outputs = [node.output[0] for node in nodes]
        split = helper.make_node("Split", [f"{name}:0", f"{name}_sizes"], outputs, f"{name}_split", axis=1)
        place = list(graph.node).index(first)
        for node in nodes:
            graph.node.remove(node)
        graph.node.insert(place, split)
        graph.node.insert(place, convolution)
        names.append(name)
    used = {value for node in graph.node for value in node.input}
    for array in [array for array in graph.initializer if array.name not in used]:
        graph.initializer.remove(array)
    return names


def _source(graph, name: str) -> str:
    """What a value is, before transpositions."""
    for node in graph.node:
        if name in node.output and node.op_type == "Transpose":
            return _source(graph, node.input[0])
    return name


def _replace_input(graph, old: str, new: str) -> None:
    """Let all nodes that take one value take another one, in place."""
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new


def _share_bytes(first, second) -> None:
    """Let a graph in 8 bits take its filters from another graph, in place.

    Both looks' filters differ by a positive factor per channel only, see `_share_filters`, which in 8 bits is a part of
    the channel's scale: what is left differs by rounding.
    """
    from onnx import numpy_helper

    filters = [numpy_helper.to_array(array) for array in first.initializer if len(array.dims) == 4]
    for array in second.initializer:
        own = numpy_helper.to_array(array)
        for other in filters if own.ndim == 4 and own.dtype == np.int8 else ():
            if own.shape == other.shape and own.dtype == other.dtype:
                if np.abs(own.astype("int16") - other).max() <= 1:
                    array.CopyFrom(numpy_helper.from_array(other, array.name))
                    break


def write_int8(model: PlateModel, folder: Path, scenes: np.ndarray, glimpses: np.ndarray) -> None:
    """`plates_int8.tflite`: whole numbers of 8 bits inside, as far as LiteRT has them; see `examples_of`.

    The finder's last convolutions stay in float, as in `find_int8.onnx`: a box is read from small differences.
    """
    networks = Networks(model)

    def examples():
        for scene in scenes:
            yield "find", {"scenes": scene[None]}
        for glimpse in glimpses:
            yield "read", {"glimpses": glimpse[None]}

    with tempfile.TemporaryDirectory() as temporary:
        tf.saved_model.save(networks, temporary, signatures={"find": networks.find, "read": networks.read})
        converter = tf.lite.TFLiteConverter.from_saved_model(temporary, signature_keys=["find", "read"])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = examples
        debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_dataset=lambda: iter(()))
        tensors = tf.lite.Interpreter(model_content=debugger.calibrated_model).get_tensor_details()
        exact = [one["name"] for one in tensors if any(name in one["name"] for name in _LAST_CONVOLUTIONS)]
        debugger.options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=exact)
        (folder / INT8_FILE).write_bytes(debugger.get_nondebug_quantized_model())


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


class ServedReader:
    """Reads photograph files with a `saved_model/`, for comparison with `PlateReader`."""

    def __init__(self, folder: Path):
        self.loaded = tf.saved_model.load(folder)
        self.serve = self.loaded.signatures["serving_default"]

    def read(self, path: Path) -> tuple[str, float]:
        """Text and confidence of the most certain plate; an empty text if there is none."""
        answer = {name: values[0].numpy() for name, values in self.serve(tf.constant([path.read_bytes()])).items()}
        certainty = np.where(answer["box_confidence"] >= BOX_THRESHOLD, answer["box_confidence"], 0)
        best = int(np.argmax(certainty * answer["confidence"]))
        if not certainty[best]:
            return "", 0.0
        return answer["texts"][best].decode(), float(answer["confidence"][best])


def compare(
    model: PlateModel, folder: Path, photographs: Sequence[Path], truths: Mapping[str, str]
) -> list[dict[str, object]]:
    """Read photographs with every form and with Keras.

    Args:
        model: the model that was exported.
        folder: its exported forms.
        photographs: the files.
        truths: known texts by file name; may be empty.

    Returns:
        one row per form: `form`, `bytes`, `same_texts` and `largest_difference` of the confidence (both against Keras,
        of the readings that Keras is certain of), `right` (of the known texts; None without).
    """
    facts = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    threads = os.cpu_count() or 1

    def best(reader):
        def read(path):
            reading = reader.read(path)[0]
            return reading.text, reading.confidence

        return read

    forms: dict[str, tuple[list[str], Callable]] = {"Keras": ([], best(PlateReader(model)))}
    for form, files in ONNX_FORMS.items():
        if all((folder / file).exists() for file in files.values()):
            networks = onnx_networks(folder, threads, files)
            forms[form] = (list(files.values()), best(PlateReader(ExportedModel(facts, *networks))))
    for form, file in (("TFLite", TFLITE_FILE), ("TFLite int8", INT8_FILE)):
        if (folder / file).exists():
            networks = tflite_networks(folder, threads, file)
            forms[form] = ([file], best(PlateReader(ExportedModel(facts, *networks))))
    if (folder / SAVED_MODEL).exists():
        files = [str(path.relative_to(folder)) for path in (folder / SAVED_MODEL).rglob("*") if path.is_file()]
        forms["SavedModel"] = (files, ServedReader(folder / SAVED_MODEL).read)
    rows, expected = [], []
    for form, (files, read) in forms.items():
        found = [read(path) for path in tqdm(photographs, desc=form, leave=False, disable=None)]
        expected = expected or found
        certain = [(one, other) for one, other in zip(expected, found, strict=True) if one[1] >= model.doubt]
        known = [(path, text) for path, (text, _) in zip(photographs, found, strict=True) if path.name in truths]
        rows.append(
            {
                "form": form,
                "bytes": sum((folder / file).stat().st_size for file in files) or None,
                "same_texts": sum(one[0] == other[0] for one, other in zip(expected, found, strict=True)),
                "photographs": len(photographs),
                "largest_difference": max((abs(one[1] - other[1]) for one, other in certain), default=0.0),
                "right": sum(text == truths[path.name] for path, text in known) / len(known) if known else None,
            }
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns 0, or 2 for wrong input."""
    parser = argparse.ArgumentParser(
        prog="python -m lpr_e2e export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", type=Path, default=DEFAULT_MODEL, help="default: the one in saved_models")
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: exports/NAME of the model")
    parser.add_argument(
        "--photographs",
        metavar="FOLDER",
        help="also write the 8-bit forms, with ranges measured on these, and compare readings",
    )
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS, help="default: all of them")
    parser.add_argument(
        "--truth",
        type=Path,
        metavar="CSV",
        help="known texts of some of them, img_id,text: compares these, measures ranges on the others",
    )
    options = parser.parse_args(arguments)
    try:
        if options.truth and not options.photographs:
            raise UserError("--truth needs --photographs")
        photographs = [Path(path) for _, path in find_photographs([options.photographs])] if options.photographs else []
        truths = {one.img_id: one.text for one in read_truth(options.truth) if one.text} if options.truth else {}
        model = load(options.model)
        folder = options.output or Path("exports") / options.model.stem
        folder.mkdir(parents=True, exist_ok=True)
        # What is known is for comparing: ranges measured on it would flatter the 8-bit forms.
        known = [one for one in photographs if one.name in truths]
        export(model, folder, [one for one in photographs if one.name not in truths] or photographs, options.forms)
        rows = compare(model, folder, known or photographs, truths)
    except (ValueError, OSError, ImportError) as error:
        say(f"lpr_e2e export: {error}", file=sys.stderr)
        return 2
    say(table(rows, folder))
    return 0


def export(model: PlateModel, folder: Path, photographs: Sequence[Path] = (), forms: Sequence[str] = FORMS) -> None:
    """Write some of `FORMS` into a folder; the int8 one only if there are photographs to measure ranges on."""
    write_description(model, folder)
    for form, write in (("onnx", write_onnx), ("tflite", write_tflite), ("saved_model", write_saved_model)):
        if form in forms:
            write(model, folder)
    if "int8" not in forms:
        return
    canvases = []
    for path in photographs[:: max(1, len(photographs) // _CALIBRATING)][:_CALIBRATING]:
        try:
            canvases.append(letterbox(read_picture(path), model.canvas_size)[0])
        except PictureError as error:
            say(f"{path}: not used for the int8 form: {error}", file=sys.stderr)
    if not canvases:
        return
    # Lying photographs, too: with ranges of upright ones only, 8 bits read fewer of them.
    canvases += [turn_picture(canvas, 1 + index % 3) for index, canvas in enumerate(canvases)]
    scenes, glimpses = examples_of(model, np.stack(canvases))
    write_int8(model, folder, scenes, glimpses)
    write_onnx_int8(model, folder, scenes, glimpses)


def table(rows: Sequence[Mapping], folder: Path) -> str:
    """The rows of `compare` for people."""
    lines = [f"{'form':<14}{'MB':>8}{'texts as Keras':>18}{'confidence':>14}{'right':>10}"]
    for row in rows:
        size = f"{row['bytes'] / 1e6:.2f}" if row["bytes"] else ""
        same = f"{row['same_texts']} of {row['photographs']}"
        right = "" if row["right"] is None else f"{row['right']:.1%}"
        lines.append(f"{row['form']:<14}{size:>8}{same:>18}{row['largest_difference']:>14.4f}{right:>10}")
    lines.append("confidence: largest difference from Keras, where Keras is certain")
    lines.append(f"written to {folder}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
