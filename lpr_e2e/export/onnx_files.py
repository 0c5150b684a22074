"""The two networks as ONNX files, with the weights that they share stored once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lpr_e2e.export.networks import Networks
from lpr_e2e.export.onnx_graph import share_filters
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.engines.onnx_runtime import FLOAT_FILES

ONNX_OPSET = 18
# Arrays smaller than this stay in the ONNX files themselves, bytes.
_SHARED_FROM = 1024


def write_onnx(model: PlateModel, folder: Path) -> None:
    """`find.onnx`, `read.onnx`, and `weights.bin` with the weights of both, those that they share once."""
    networks = Networks(model)
    find, read = (
        converted(getattr(networks, name), signature)
        for name, signature in (("find", networks.scenes), ("read", networks.glimpses))
    )
    share_filters(find.graph, read.graph)
    write_with_weights({"find": find, "read": read}, folder, FLOAT_FILES)


def converted(function, signature):
    """An `onnx.ModelProto` of a `tf.function` of one tensor; `signature` is the tensor's `tf.TensorSpec`."""
    import tf2onnx

    return tf2onnx.convert.from_function(function, [signature], opset=ONNX_OPSET)[0]


def write_with_weights(protos: Mapping, folder: Path, files: Mapping[str, str]) -> None:
    """Write networks and, into the file `weights`, what they weigh: arrays that are equal to the byte once.

    Args:
        protos: an `onnx.ModelProto` by name; they are changed in place.
        folder: where they go.
        files: the file name of each, and of `weights`.
    """
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
