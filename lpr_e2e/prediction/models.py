"""The weights that come with the project, and how a model is named: `--model tunisia`, or a path.

Beside the weights, `saved_models/NAME.json` says what each is: the plates it reads, how good it is, its licence, and
what it was trained with.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from lpr_e2e.common.errors import UserError
from lpr_e2e.prediction.description import FILE as DESCRIPTION

# What photographs are read with, and what a training and labelling start from, unless somebody names others.
DEFAULT_NAME, START_NAME = "tunisia", "base"


@dataclass(frozen=True)
class ShippedModel:
    """Weights that come with the project.

    Attributes:
        name: by which `find` knows it.
        country: whose plates it reads, for people.
        licence: of the weights, an SPDX name.
        figures: on held-out photographs, as a training writes them to `figures.json`.
        note: what else one should know before using it; may be empty.
        keras_file: the `.keras` file, which Keras reads.
        exported: the folder of its exported forms, which ONNX Runtime reads.
    """

    name: str
    country: str
    licence: str
    figures: dict[str, float]
    note: str
    keras_file: Path
    exported: Path

    @property
    def forms(self) -> dict[str, Path]:
        """The forms that are there, by the name of what reads them: `ONNX Runtime` and `Keras`."""
        forms = {}
        if (self.exported / DESCRIPTION).is_file():
            forms["ONNX Runtime"] = self.exported
        if self.keras_file.is_file():
            forms["Keras"] = self.keras_file
        return forms


def shipped_folder() -> Path:
    """Where the shipped weights lie: `saved_models` within an installed package, in a checkout beside the package."""
    package = Path(__file__).resolve().parents[1]
    return next((one for one in (package / "saved_models", package.parent / "saved_models") if one.is_dir()), package)


def shipped() -> dict[str, ShippedModel]:
    """All shipped models by name, the default one first."""
    folder = shipped_folder()
    models = {}
    for path in sorted(folder.glob("*.json"), key=lambda path: (path.stem != DEFAULT_NAME, path.stem)):
        facts = json.loads(path.read_text(encoding="utf-8"))
        about = (path.stem, facts["country"], facts["licence"], facts["figures"], facts.get("note", ""))
        models[path.stem] = ShippedModel(*about, path.with_suffix(".keras"), path.with_suffix(""))
    return models


def find(model: str | Path | None = None, keras: bool = False) -> Path:
    """The file or folder of a model, to be loaded.

    Args:
        model: the name of a shipped model or a path; None means the default one. Where there is a model at a path that
            reads like a name, the path counts.
        keras: whether the `.keras` file of a shipped model is wanted, as for training and exporting. Otherwise its
            exported form is taken, which is faster and needs no Keras, if there is one and ONNX Runtime is installed.

    Raises:
        UserError: there is neither such a path nor such a name, or it names a model of which nothing is installed.
    """
    name = DEFAULT_NAME if model is None else str(model)
    path = Path(name)
    known = shipped()
    if model is not None and (path.is_file() or (path / DESCRIPTION).is_file()):
        return path
    if name not in known:
        if path.is_dir():
            return path  # Whoever loads it says what it lacks.
        if not known:
            raise UserError(
                f"no model at {name}, and no weights in {shipped_folder()}, where those that come with the project "
                "belong: the package is not whole, or in an archive; install it: pip install . in the project's folder"
            )
        near = difflib.get_close_matches(name, known, 1)
        meant = f"did you mean {near[0]}? Else " if near else ""
        raise UserError(
            f"no model at {name}: {meant}name a .keras file that a training wrote, a folder that an export wrote, or "
            f"one of {', '.join(known)}, which come with the project"
        )
    forms = known[name].forms
    if not keras and "ONNX Runtime" in forms and importlib.util.find_spec("onnxruntime"):
        return forms["ONNX Runtime"]
    if "Keras" in forms:
        return forms["Keras"]
    if keras or not forms:
        raise UserError(
            f"{name}: its .keras file is not in {shipped_folder()}: an installed package has the 8-bit forms alone; "
            "take it from saved_models/ in the project's repository"
        )
    return forms["ONNX Runtime"]  # Loading it says what is missing.


def megabytes(model: Path) -> float:
    """Size of a model's file, or of the files in its folder, in millions of bytes."""
    files = [model] if model.is_file() else [path for path in model.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files) / 1e6
