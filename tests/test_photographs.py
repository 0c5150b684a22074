"""Names of photographs where paths are those of Windows, simulated: this machine has no drives."""

from __future__ import annotations

import ntpath
import os
from pathlib import PureWindowsPath

from lpr_e2e.common import photographs


def test_photographs_of_several_drives_have_names_below_a_folder(monkeypatch):
    """Such a name is joined to the folder of the annotated pictures, and must not lead out of it."""
    for name in ("commonpath", "dirname", "splitdrive"):
        monkeypatch.setattr(os.path, name, getattr(ntpath, name))
    monkeypatch.setattr(photographs, "Path", PureWindowsPath)
    paths = ["C:\\cars\\1.jpg", "D:\\cars\\1.jpg", "\\\\server\\share\\cars\\1.jpg"]
    named = photographs._apart(paths)
    assert list(named.values()) == ["C/cars/1.jpg", "D/cars/1.jpg", "server/share/cars/1.jpg"]
    for name in named.values():
        below = PureWindowsPath("E:\\out\\pictures") / name
        assert below.is_relative_to("E:\\out\\pictures") and len(below.parts) > 4
    assert photographs._apart(paths[:1] + ["C:\\more\\1.jpg"]) == {
        "C:\\cars\\1.jpg": "cars/1.jpg", "C:\\more\\1.jpg": "more/1.jpg"
    }  # fmt: skip
