"""LiteRT, formerly TensorFlow Lite: the exported networks as two signatures of one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lpr_e2e.common.errors import UserError

FILE, INT8_FILE = "plates.tflite", "plates_int8.tflite"


class LiteRTEngine:
    """Both networks in LiteRT, for one thread of Python at a time.

    Args:
        path: `FILE` or `INT8_FILE` of an exported model.
        threads: that share the work of one call.

    Raises:
        ImportError: LiteRT is not installed.
        UserError: the file is no model that was exported.
    """

    def __init__(self, path: Path, threads: int):
        from ai_edge_litert.interpreter import Interpreter

        try:
            interpreter = Interpreter(str(path), num_threads=threads)
            self._runners = {name: interpreter.get_signature_runner(name) for name in ("find", "read")}
        except ValueError as error:
            raise UserError(
                f"{path}: no TFLite model written by `python -m lpr_e2e export`: {' '.join(str(error).split())}"
            ) from error
        self._path = path
        self._inputs = {name: next(iter(runner.get_input_details())) for name, runner in self._runners.items()}

    def find(self, scenes: np.ndarray) -> dict[str, np.ndarray]:
        """See `Engine.find`."""
        return self._run("find", scenes)

    def read(self, glimpses: np.ndarray) -> dict[str, np.ndarray]:
        """See `Engine.read`."""
        return self._run("read", glimpses)

    def _run(self, name: str, batch: np.ndarray) -> dict[str, np.ndarray]:
        try:
            return self._runners[name](**{self._inputs[name]: batch.astype("float32")})
        except (RuntimeError, ValueError) as error:  # Shapes and sizes that only show when it runs.
            raise UserError(f"{self._path}: this model cannot be run: {' '.join(str(error).split())}") from error
