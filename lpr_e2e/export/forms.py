"""The forms of an exported model and the files of each; nothing here needs TensorFlow."""

from __future__ import annotations

from lpr_e2e.prediction.engines import litert, onnx_runtime

SAVED_MODEL = "saved_model"  # A folder.
# What each form consists of, below the folder of the export. `int8` needs photographs, to measure ranges on.
FORMS: dict[str, tuple[str, ...]] = {
    "onnx": tuple(onnx_runtime.FLOAT_FILES.values()),
    "tflite": (litert.FILE,),
    "int8": (litert.INT8_FILE, *onnx_runtime.INT8_FILES.values()),
    "saved_model": (SAVED_MODEL,),
}
