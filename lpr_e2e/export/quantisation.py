"""The two networks in 8 bits for ONNX Runtime, and the examples on which the ranges of all 8-bit forms are measured."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from lpr_e2e.common.boxes import letterbox, turn_picture
from lpr_e2e.common.images import PictureError, read_picture
from lpr_e2e.common.terminal import say
from lpr_e2e.export.networks import LAST_CONVOLUTIONS, Networks
from lpr_e2e.export.onnx_files import converted, write_with_weights
from lpr_e2e.export.onnx_graph import join_convolutions, replace_input, share_bytes, source_of
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.driver import Driver
from lpr_e2e.prediction.engines import Engine
from lpr_e2e.prediction.engines.keras_model import KerasEngine, describe
from lpr_e2e.prediction.engines.onnx_runtime import INT8_FILES, send_nothing
from lpr_e2e.training.light import harsh_light

# Photographs on which the ranges are measured, each also turned, and each also in light that leaves little to read.
_PHOTOGRAPHS = 128


class Examples:
    """An engine that keeps what its networks are given: the ranges of all values in 8 bits are measured on it.

    Args:
        engine: does the work.

    Attributes:
        scenes: uint8 `(side, side, 3)` each, of all looks.
        glimpses: uint8 `(height, width, 3)` each.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self.scenes: list[np.ndarray] = []
        self.glimpses: list[np.ndarray] = []

    def find(self, scenes: np.ndarray) -> dict[str, np.ndarray]:
        """See `Engine.find`."""
        self.scenes += list(scenes)
        return self._engine.find(scenes)

    def read(self, glimpses: np.ndarray) -> dict[str, np.ndarray]:
        """See `Engine.read`."""
        self.glimpses += list(glimpses)
        return self._engine.read(glimpses)


def examples_of(model: PlateModel, photographs: Sequence[Path]) -> Examples | None:
    """Examples from up to `_PHOTOGRAPHS` files, spread over all, as the model reads them.

    Returns:
        None if no photograph can be read, or if the model finds no plate on any. Why is said.
    """
    description = describe(model)
    canvases = []
    for path in photographs[:: max(1, len(photographs) // _PHOTOGRAPHS)][:_PHOTOGRAPHS]:
        try:
            photograph = read_picture(path)
        except PictureError as error:
            say(f"{path}: not used for the forms in 8 bits: {error}", file=sys.stderr)
            continue
        canvases.append(letterbox(photograph, description.canvas_size, grey=description.procedure.letterbox_grey)[0])
    # Lying photographs, and dark, bleached and glaring ones, too: with ranges of ordinary ones only, 8 bits read fewer.
    rng = np.random.default_rng(0)
    harsh = [harsh_light(canvas, rng) for canvas in canvases]
    canvases += [turn_picture(canvas, 1 + index % 3) for index, canvas in enumerate(canvases)] + harsh
    examples = Examples(KerasEngine(model))
    driver = Driver(examples, description)
    for canvas in canvases:
        driver.look(canvas[None])
    if photographs and not examples.glimpses:
        say(f"no plate found on {len(canvases)} photographs: no form in 8 bits is written", file=sys.stderr)
    return examples if examples.glimpses else None


def write_onnx_int8(model: PlateModel, folder: Path, examples: Examples) -> None:
    """`find_int8.onnx`, `read_int8.onnx`, and `weights_int8.bin` with the weights of both.

    Convolutions are computed in 8 bits, but for the last ones of the finder and the decoder. 256 steps are also few for
    the sums of residuals: they would make boxes less exact and save no time.
    """
    networks = Networks(model)
    whole = tf.function(lambda scenes: model.finder(scenes, training=False), input_signature=[networks.scenes])
    find = converted(whole, networks.scenes)
    read = converted(networks.read, networks.glimpses)
    last = join_convolutions(find.graph, LAST_CONVOLUTIONS)
    # Black and white among the examples make the steps of the input those of a picture's bytes. So it takes the bytes.
    black_and_white = examples.scenes[0].copy()
    black_and_white[0, 0], black_and_white[0, 1] = 0, 255
    scenes = (scene.astype("float32") / 127.5 - 1.0 for scene in [black_and_white, *examples.scenes[1:]])
    find = _in_8_bits(find, scenes, last)
    _take_bytes(find.graph)
    decoder = [node.name for node in read.graph.node if "/decoder" in node.name]
    read = _in_8_bits(read, (glimpse.astype("float32") for glimpse in examples.glimpses), decoder)
    share_bytes(find.graph, read.graph)
    write_with_weights({"find": find, "read": read}, folder, INT8_FILES)


def _take_bytes(graph) -> None:
    """Let the finder in 8 bits take the bytes of a picture, instead of computing them from floats first."""
    from onnx import TensorProto, numpy_helper

    quantize = next(node for node in graph.node if node.op_type == "QuantizeLinear")
    steps = {array.name: numpy_helper.to_array(array) for array in graph.initializer}
    if not np.isclose(steps[quantize.input[1]], 1 / 127.5) or graph.input[0].name != source_of(
        graph, quantize.input[0]
    ):
        raise AssertionError("the first thing that the finder computes in 8 bits is not its input")
    replace_input(graph, quantize.output[0], quantize.input[0])
    graph.node.remove(quantize)
    graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    del graph.value_info[:]


def _in_8_bits(proto, examples: Iterable[np.ndarray], exact: Sequence[str]):
    """A network with convolutions and ReLUs in 8 bits, but for the nodes named in `exact`.

    Weights get 7 of the 8 bits: processors without instructions for products of bytes add two of these in 16 bits, and
    what does not fit there is cut off without a word. With 8 bits, a finder that is exact on one processor finds
    nothing on another.
    """
    send_nothing()
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
            _OneByOne(proto.graph.input[0].name, examples),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            op_types_to_quantize=["Conv", "Relu"],
            nodes_to_exclude=list(exact),
        )
        return onnx.load(quantized)


class _OneByOne:
    """Examples one by one, as ONNX Runtime's calibration asks for them."""

    def __init__(self, name: str, examples: Iterable[np.ndarray]):
        self.given = ({name: example[None]} for example in examples)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.given, None)
