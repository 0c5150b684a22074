"""The two networks as one TFLite file with two signatures, `find` and `read`, for LiteRT."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from lpr_e2e.export.networks import LAST_CONVOLUTIONS, Networks
from lpr_e2e.export.quantisation import Examples
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.engines.litert import FILE, INT8_FILE


def write_tflite(model: PlateModel, folder: Path) -> None:
    """`plates.tflite`: float32 arithmetic, weights stored in 16 bits, because normalisation leaves none to share."""
    with _converter(model) as converter:
        converter.target_spec.supported_types = [tf.float16]
        (folder / FILE).write_bytes(converter.convert())


def write_tflite_int8(model: PlateModel, folder: Path, examples: Examples) -> None:
    """`plates_int8.tflite`: whole numbers of 8 bits inside, as far as LiteRT has them."""

    def given():
        for scene in examples.scenes:
            yield "find", {"scenes": scene[None].astype("float32")}
        for glimpse in examples.glimpses:
            yield "read", {"glimpses": glimpse[None].astype("float32")}

    with _converter(model) as converter:
        converter.representative_dataset = given
        debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_dataset=lambda: iter(()))
        tensors = tf.lite.Interpreter(model_content=debugger.calibrated_model).get_tensor_details()
        exact = [one["name"] for one in tensors if any(name in one["name"] for name in LAST_CONVOLUTIONS)]
        debugger.options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=exact)
        (folder / INT8_FILE).write_bytes(debugger.get_nondebug_quantized_model())


@contextmanager
def _converter(model: PlateModel) -> Iterator[tf.lite.TFLiteConverter]:
    """TensorFlow's converter of the two networks; it works within this context only."""
    networks = Networks(model)
    with tempfile.TemporaryDirectory() as temporary:
        tf.saved_model.save(networks, temporary, signatures={"find": networks.find, "read": networks.read})
        converter = tf.lite.TFLiteConverter.from_saved_model(temporary, signature_keys=["find", "read"])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        yield converter
