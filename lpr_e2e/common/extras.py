"""What to install where a package is missing: reading needs none of these, other commands do."""

from __future__ import annotations

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
    "pycocotools": "coco",
    "keras_cv": "coco",
}
# What `pip install .` brings.
BASE = ("numpy", "cv2", "PIL", "onnxruntime", "tqdm", "filelock", "rapidfuzz", "shtab")


def install(package: str) -> str:
    """The command that brings a package, named as it is imported.

    Our own name is never said to pip: nothing of that name is published, and whoever publishes one decides what it is.
    """
    if package not in EXTRAS and package not in BASE:
        return f"pip install {package}"
    extra = f"'.[{EXTRAS[package]}]'" if package in EXTRAS else "."
    return f"pip install {extra} in the project's folder"


def remedy(error: ImportError) -> str | None:
    """One line about a package that is not installed or cannot be loaded; None if the fault is the program's own."""
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS and package not in BASE:
        return None
    if isinstance(error, ModuleNotFoundError):
        return f"this needs {package}, which is not installed: {install(package)}"
    return f"{package} is installed and cannot be imported: {error}"
