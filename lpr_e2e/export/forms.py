"""The forms of an exported model and the files of each; nothing here needs TensorFlow."""

from __future__ import annotations

from lpr_e2e.prediction.exported import INT8_FILE, ONNX_FILES, ONNX_INT8_FILES, TFLITE_FILE

SAVED_MODEL = "saved_model"  # A folder.
# What each form consists of, below the folder of the export. `int8` needs photographs, to measure ranges on.
FORMS: dict[str, tuple[str, ...]] = {
    "onnx": tuple(ONNX_FILES.values()),
    "tflite": (TFLITE_FILE,),
    "int8": (INT8_FILE, *ONNX_INT8_FILES.values()),
    "saved_model": (SAVED_MODEL,),
}
