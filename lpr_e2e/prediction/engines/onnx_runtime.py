"""ONNX Runtime: the exported networks in float32 or in 8 bits."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from lpr_e2e.common.errors import UserError

FLOAT_FILES = {"find": "find.onnx", "read": "read.onnx", "weights": "weights.bin"}
# In 8 bits, for processors: as exact, and nearly twice as fast.
INT8_FILES = {"find": "find_int8.onnx", "read": "read_int8.onnx", "weights": "weights_int8.bin"}


def send_nothing() -> None:
    """Keep ONNX Runtime from telling its makers about this machine, which it does from 1.29 on unless it is told not to
    before it is imported; whoever has set `ORT_DISABLE_TELEMETRY` has decided already."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


class OnnxEngine:
    """Both networks in ONNX Runtime; any number of threads may use it at the same time.

    Args:
        folder: of the exported model.
        files: `FLOAT_FILES` or `INT8_FILES`.
        threads: that share the work of one call.

    Raises:
        ImportError: ONNX Runtime is not installed.
        UserError: a file is no model that was exported.
    """

    def __init__(self, folder: Path, files: dict[str, str], threads: int):
        send_nothing()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that wait for work by spinning would take the cores from the other network, decoding and cutting.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4  # Errors are raised, too.
        self._folder, self._sessions = folder, {}
        for name in ("find", "read"):
            path = folder / files[name]
            try:
                session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
                (given,) = session.get_inputs()
            except Exception as error:  # The runtime's own kinds.
                raise UserError(
                    f"{path}: no ONNX model written by `python -m lpr_e2e export`: {' '.join(str(error).split())}"
                ) from error
            kind = "uint8" if given.type == "tensor(uint8)" else "float32"
            outputs = [output.name for output in session.get_outputs()]
            self._sessions[name] = session, given.name, kind, outputs

    def find(self, scenes: np.ndarray) -> dict[str, np.ndarray]:
        """See `Engine.find`."""
        return self._run("find", scenes)

    def read(self, glimpses: np.ndarray) -> dict[str, np.ndarray]:
        """See `Engine.read`."""
        return self._run("read", glimpses)

    def _run(self, name: str, batch: np.ndarray) -> dict[str, np.ndarray]:
        session, given, kind, outputs = self._sessions[name]
        try:
            answer = session.run(outputs, {given: batch.astype(kind, copy=False)})
        except Exception as error:  # Shapes and sizes that only show when it runs: the runtime's own kinds.
            raise UserError(f"{self._folder}: this model cannot be run: {' '.join(str(error).split())}") from error
        return dict(zip(outputs, answer, strict=True))
