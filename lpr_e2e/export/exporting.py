"""Write a trained model in the forms of other runtimes, all of one model and whole, or leave the folder as it was."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from lpr_e2e.common.backend import our_settings
from lpr_e2e.common.files import owned, read_json, refuse_foreign, write_json
from lpr_e2e.common.interrupts import postponed
from lpr_e2e.common.terminal import say
from lpr_e2e.export.forms import FORMS
from lpr_e2e.export.networks import fingerprint
from lpr_e2e.export.onnx_files import write_onnx
from lpr_e2e.export.quantisation import examples_of, write_onnx_int8
from lpr_e2e.export.saved_model import write_saved_model
from lpr_e2e.export.tflite import write_tflite, write_tflite_int8
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.checksums import checksum
from lpr_e2e.prediction.description import FILE as DESCRIPTION
from lpr_e2e.prediction.description import with_checksum
from lpr_e2e.prediction.engines.keras_model import describe

# Within the folder of the export, while it is being written.
_STAGING, _LOCK = "part.export", ".lock"
# Names that other programs give to files of models, too, as TensorFlow.js does beside its `model.json`.
_USUAL = ("weights.bin", "saved_model")


@our_settings()
def export(
    model: PlateModel, folder: Path, photographs: Sequence[Path] = (), forms: Collection[str] = tuple(FORMS)
) -> None:
    """Write some forms of a model into a folder, which then holds forms of this model only.

    Forms that lie there already and are not written anew stay if they are of the same model, by the fingerprint in
    `model.json`; others are removed, and named. Everything is written beside first: after an error the folder is as it
    was, and if the process is killed between the last steps, it holds no `model.json`, without which nothing reads it.

    Args:
        model: the model.
        folder: is made if it is not there.
        photographs: ranges of the 8-bit forms are measured on them; without any, these are not written.
        forms: some of `FORMS`.

    Raises:
        UserError: another process is writing there, or there are files of such names that no export wrote.
        OSError: a file cannot be written.
        ImportError: a converter is not installed.
    """
    staging, names = folder / _STAGING, [name for files in FORMS.values() for name in files]
    refuse_foreign(folder, (DESCRIPTION, _STAGING), names)
    # One that is damaged is ours if it lies beside files that nobody else calls so.
    if not (_is_ours(folder / DESCRIPTION) or any((folder / name).exists() for name in names if name not in _USUAL)):
        refuse_foreign(folder, (_STAGING,), [DESCRIPTION])  # Other programs have files of this name, too.
    folder.mkdir(parents=True, exist_ok=True)
    with owned(folder / _LOCK, f"{folder}: another process is exporting a model there; wait, or name another folder"):
        shutil.rmtree(staging, ignore_errors=True)  # Of a process that was killed.
        staging.mkdir()
        try:
            _write(model, staging, photographs, forms)
            _replace(folder, staging, model)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _write(model: PlateModel, folder: Path, photographs: Sequence[Path], forms: Collection[str]) -> None:
    writers = {"onnx": write_onnx, "tflite": write_tflite, "saved_model": write_saved_model}
    for form, write in writers.items():
        if form in forms:
            write(model, folder)
    examples = examples_of(model, photographs) if "int8" in forms else None
    if examples is not None:
        write_tflite_int8(model, folder, examples)
        write_onnx_int8(model, folder, examples)


def _replace(folder: Path, staging: Path, model: PlateModel) -> None:
    """Move what was written into the folder, with a description of all that it then holds."""
    facts = describe(model).as_json() | {"model": fingerprint(model)}
    before = _description_in(folder)
    written = [path.name for path in staging.iterdir()]
    sums = {name: checksum(staging / name) for name in written if (staging / name).is_file()}
    left = [name for files in FORMS.values() for name in files if (folder / name).exists() and name not in written]
    if before.get("model") == facts["model"]:
        sums |= {name: before["files"][name] for name in left if name in before["files"]}
        removed = []
    else:
        removed = left
    with postponed():
        # Without its description the folder is no exported model. So none is read while it holds files of two.
        (folder / DESCRIPTION).unlink(missing_ok=True)
        for name in [*removed, *written]:
            _remove(folder / name)
        for name in written:
            os.replace(staging / name, folder / name)
        write_json(folder / DESCRIPTION, with_checksum(facts | {"files": dict(sorted(sums.items()))}))
    if removed:
        say(f"{folder}: removed {', '.join(removed)}: not known to be of this model", file=sys.stderr)


def _description_in(folder: Path) -> dict:
    """What an earlier export says of itself; nothing if there is none, or none that can be read."""
    try:
        facts = read_json(folder / DESCRIPTION)
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) and isinstance(facts.get("files"), dict) else {}


def _is_ours(description: Path) -> bool:
    """Whether a file describes a model as an export does, of whatever version."""
    try:
        facts = read_json(description)
    except (OSError, ValueError):
        return False
    return isinstance(facts, dict) and {"characters", "slots"} <= facts.keys()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
