"""Exported models on disk: which engine reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.extras import install
from lpr_e2e.prediction.checksums import check_files
from lpr_e2e.prediction.description import Description
from lpr_e2e.prediction.driver import Driver
from lpr_e2e.prediction.engines import Engine, litert, onnx_runtime
from lpr_e2e.prediction.engines.described import DescribedEngine

# The C library returns blocks larger than any freed before to the system, and gets them again, page by page, for every
# photograph, which takes a fifth of its time. Freeing one of this many bytes makes it keep them.
_KEPT = 8 << 20


def _onnx(files: dict[str, str]) -> Callable[[Path, int, int], list[Engine]]:
    # One session serves any number of threads.
    return lambda folder, count, threads: [onnx_runtime.OnnxEngine(folder, files, threads)] * count


def _litert(file: str) -> Callable[[Path, int, int], list[Engine]]:
    return lambda folder, count, threads: [litert.LiteRTEngine(folder / file, threads) for _ in range(count)]


# The forms of an exported model, the fastest first: the files of each, the package that is imported for it, and how to
# load it as many times as there are threads that read at the same time.
FORMS: dict[str, tuple[tuple[str, ...], str, Callable[[Path, int, int], list[Engine]]]] = {
    "ONNX int8": (tuple(onnx_runtime.INT8_FILES.values()), "onnxruntime", _onnx(onnx_runtime.INT8_FILES)),
    "ONNX": (tuple(onnx_runtime.FLOAT_FILES.values()), "onnxruntime", _onnx(onnx_runtime.FLOAT_FILES)),
    "TFLite": ((litert.FILE,), "ai_edge_litert", _litert(litert.FILE)),
    "TFLite int8": ((litert.INT8_FILE,), "ai_edge_litert", _litert(litert.INT8_FILE)),
}


def load_drivers(folder: Path, count: int, threads: int, form: str | None = None) -> list[Driver]:
    """Load an exported model.

    Args:
        folder: what `python -m lpr_e2e export` wrote.
        count: how many threads will read at the same time, each with a driver of its own.
        threads: of the runtime, that share the work of one call.
        form: one of `FORMS`; by default the first that is there and for which a runtime is installed.

    Raises:
        FileNotFoundError: the folder holds no exported model, or not in this form.
        UserError: a file of it is damaged, of another export, or was written by a later version.
        ImportError: no runtime is installed that can run it, or those that are cannot be imported.
    """
    np.empty(_KEPT, "uint8")
    description = Description.load(folder)
    missing: dict[str, None] = {}
    broken: ImportError | None = None
    for name in [form] if form else FORMS:
        files, package, load = FORMS[name]
        if not (folder / files[0]).exists():
            continue
        check_files(folder, files)
        try:
            engines = load(folder, count, threads)
            described = {id(engine): DescribedEngine(engine, description, folder) for engine in engines}
            return [Driver(described[id(engine)], description) for engine in engines]
        except ImportError as error:
            if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == package:
                missing[package] = None
            else:
                broken = broken or error
    if broken:
        raise broken
    if missing:
        remedies = " or ".join(dict.fromkeys(map(install, missing)))
        message = f"{folder}: needs {' or '.join(missing)}, which is not installed: {remedies}"
        raise ModuleNotFoundError(message, name=next(iter(missing)))
    expected = ", ".join(FORMS[name][0][0] for name in ([form] if form else FORMS))
    raise UserError(f"{folder}: expected one of the files {expected} beside model.json; found none")
