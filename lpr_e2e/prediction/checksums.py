"""Whether the files of an exported model belong together: networks of two models would read, and read wrongly."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import read_json, require_file
from lpr_e2e.prediction.description import FILE

# As much as a file of ONNX can have.
_MOST_BYTES = 2 * 2**30


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal, as `sha256sum` prints it.

    Raises:
        OSError: it cannot be read, is a pipe or a device, or has more than 2 GiB.
    """
    import hashlib  # Late: models from before checksums need none.

    require_file(path, _MOST_BYTES)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(model: Path) -> str:
    """Twelve digits that tell a model's weights from others: the beginning of a checksum of its files.

    Args:
        model: its file, or its folder if it was exported.

    Raises:
        OSError: a file cannot be read.
    """
    import hashlib

    files = [model] if model.is_file() else sorted(path for path in model.iterdir() if path.is_file())
    return hashlib.sha256("".join(map(checksum, files)).encode()).hexdigest()[:12]


def check_files(folder: Path, files: Iterable[str]) -> None:
    """Refuse files that were not exported together with the description beside them.

    Args:
        folder: the folder of an exported model. Its `model.json` has the checksum of each file of the export; if it has
            none, it is from before there were any, and nothing is refused.
        files: the names of those that are about to be used.

    Raises:
        UserError: a file is of another export, or damaged.
        OSError: one cannot be read, is a pipe or a device, or has more than 2 GiB.
    """
    for file in files:
        if (folder / file).exists():  # What is missing is named by who loads it.
            require_file(folder / file, _MOST_BYTES)
    checksums = read_json(folder / FILE).get("files")
    if checksums is None:
        return
    for file in files:
        if not isinstance(checksums, dict) or checksums.get(file) != checksum(folder / file):
            raise UserError(
                f"{folder / file}: damaged, or not exported together with the {FILE} beside it; "
                "export the model anew with `python -m lpr_e2e export`"
            )
