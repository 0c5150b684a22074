"""Names of photographs: where paths are those of Windows, simulated, as this machine has no drives; where they are no
text; and where the system says that they are ASCII."""

from __future__ import annotations

import ast
import ntpath
import os
import subprocess
import sys
from pathlib import Path, PureWindowsPath

import pytest

from lpr_e2e.common import photographs
from lpr_e2e.common.photographs import as_text, find_photographs


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


@pytest.mark.parametrize(
    "name",
    ["car.jpg", "\u00e9t\u00e9.png", "a/b.jpg", "\u062a\u0648\u0646\u0633.jpg", "back\\slash.jpg", "\\u0041.jpg"],
)
def test_a_name_that_is_text_stays_as_it_is(name):
    assert as_text(name) == name


def test_names_that_look_alike_stay_apart(tmp_path):
    """A byte that is no text, its escape as a name, and both after backslashes."""
    names = [
        rb"a" + slashes + end
        for slashes in (b"", b"\\", b"\\\\", b"\\\\\\")
        for end in (b"\xff.png", rb"\udcff.png", b"udcff.png")
    ]
    names = sorted(set(names))
    try:
        for name in names:
            (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    found = [img_id for img_id, _ in find_photographs([tmp_path])]
    assert len(set(found)) == len(found) == len(names)
    for img_id in found:
        img_id.encode("utf-8")
    assert r"a\udcff.png" in found and r"a\\udcff.png" in found  # The byte; the name that looks like it.


@pytest.mark.parametrize(
    "environment",
    [{"LC_ALL": "C.UTF-8"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}],
    ids=["UTF-8", "ASCII"],
)
def test_names_are_the_same_in_every_locale(tmp_path, environment):
    """As they are found, and as the annotated pictures are called."""
    script = (
        "import sys; import numpy as np; from pathlib import Path\n"
        "from lpr_e2e.common.photographs import find_photographs\n"
        "from lpr_e2e.prediction.outputs import PredictionsWriter\n"
        "from lpr_e2e.prediction.reading import Reading\n"
        "found = find_photographs([sys.argv[1]])\n"
        "with PredictionsWriter(Path(sys.argv[2]), True, found) as writer:\n"
        "    for name, _ in found: writer.write(name, np.zeros((8, 8, 3), 'uint8'), [Reading(name)])\n"
        "print(ascii([name for name, _ in found]))\n"
    )
    for name in ("\u00e9t\u00e9.png", "\u062a\u0648\u0646\u0633/1.jpg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "in", tmp_path / "out"],
        env=variables | environment | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert ast.literal_eval(done.stdout) == ["\u00e9t\u00e9.png", "\u062a\u0648\u0646\u0633/1.jpg"]
    drawn = {str(path.relative_to(tmp_path / "out/pictures")) for path in (tmp_path / "out/pictures").rglob("*.jpg")}
    assert drawn == {"\u00e9t\u00e9.png.jpg", "\u062a\u0648\u0646\u0633/1.jpg"}
    assert "\u00e9t\u00e9.png" in (tmp_path / "out" / "predictions.csv").read_text(encoding="utf-8")
