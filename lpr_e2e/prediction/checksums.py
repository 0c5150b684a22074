"""Whether the files of an exported model belong together: networks of two models would read, and read wrongly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from lpr_e2e.common.errors import UserError


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal, as `sha256sum` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_files(folder: Path, description: Mapping, files: Iterable[str]) -> None:
    """Refuse files that were not exported together with a description.

    Args:
        folder: the folder of the exported model.
        description: what its `model.json` says: `files` has the checksum of each. Without it, the folder is from before
            there were checksums, and nothing is refused.
        files: the names of those that are about to be used.

    Raises:
        UserError: a file is of another export, or damaged.
        OSError: it cannot be read.
    """
    if "files" not in description:
        return
    for file in files:
        if description["files"].get(file) != checksum(folder / file):
            raise UserError(
                f"{folder / file}: damaged, or not exported together with the model.json beside it; "
                "export the model anew with `lpr-e2e export`"
            )
