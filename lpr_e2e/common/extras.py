"""What to install where a package is missing: reading needs none of these, other commands do."""

from __future__ import annotations

import re

# By the name a package is imported by: the extra of ours that brings it.
EXTRAS = {
    "keras": "train",
    "tensorflow": "train",
    "tensorboard": "train",
    "tensorboardX": "train",
    "pandas": "train",
    "matplotlib": "train",
    "jinja2": "train",
    "fontpkg": "train",
    "yaml": "train",
    "defusedxml": "train",
    "jax": "jax",
    "onnx": "export",
    "tf2onnx": "export",
    "ai_edge_litert": "export",
    "apache_beam": "beam",
    "fastapi": "serve",
    "fastapi_offline": "serve",
    "uvicorn": "serve",
    "python_multipart": "serve",
    "prometheus_client": "serve",
    "optuna": "sweep",
    "sqlalchemy": "sweep",
    "av": "video",
    "scipy": "video",
    "pycocotools": "coco",
    "keras_cv": "coco",
}
# Further extras, named as the commands that need them, which bring it, too.
_ALSO = dict.fromkeys(("fastapi", "uvicorn", "yaml", "defusedxml"), ("label",))
# What `pip install .` brings.
BASE = ("numpy", "cv2", "PIL", "onnxruntime", "tqdm", "filelock", "rapidfuzz", "re2", "shtab")


def install(package: str, command: str = "") -> str:
    """The command of pip that brings a package, named as it is imported, to one of our commands.

    Our own name is never said to pip: nothing of that name is published, and whoever publishes one decides what it is.
    """
    if package not in EXTRAS and package not in BASE:
        return f"pip install {package}"
    if package in BASE:
        return "pip install . in the project's folder"
    extra = command if command in _ALSO.get(package, ()) else EXTRAS[package]
    return f"pip install '.[{extra}]' in the project's folder"


def remedy(error: ImportError, command: str = "") -> str | None:
    """One line about a package that is not installed or cannot be loaded; None if the fault is the program's own.

    Args:
        error: what was raised.
        command: of ours, that has raised it.
    """
    package = (error.name or "").partition(".")[0]
    if _is_ours_to_name(package):
        if isinstance(error, ModuleNotFoundError):
            return f"this needs {package}, which is not installed: {install(package, command)}"
        return f"{package} is installed and cannot be imported: {_reason(error)}"
    # TensorFlow names no module when a library of its own cannot be loaded, and others miss what they need themselves.
    broken = _being_imported(error)
    return f"{broken} is installed and cannot be imported: {_reason(error)}" if broken else None


def _is_ours_to_name(package: str) -> bool:
    return package in EXTRAS or package in BASE


def _being_imported(error: ImportError) -> str | None:
    """The package of which a module was being executed, the innermost of those that we know."""
    found, trace = None, error.__traceback__
    while trace is not None:
        code, package = trace.tb_frame.f_code, str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0]
        if code.co_name == "<module>" and _is_ours_to_name(package):
            found = package
        trace = trace.tb_next
    return found


def _reason(error: ImportError) -> str:
    """The line of a message that says most: of a traceback that is quoted in it, the last error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception): ", line)]
    return (errors or lines[:1])[-1]
