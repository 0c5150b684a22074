"""How the house is built: imports go down only, no circles, small files and functions, nothing that only Linux has.

Every rule is a function of a package's folder that yields what breaks it; the rules themselves are tried on made-up
packages at the end.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "lpr_e2e"

# From the ground up: a room imports from those below it, and not from those beside it.
FLOORS = (
    ("common",),
    ("data", "drawing", "model"),
    ("prediction",),
    ("evaluation",),
    ("training",),
    ("export", "serving", "video", "experiments", "annotation"),
    ("cli", "commands", "__main__"),
)
# What is narrower than the floors say.
ONLY = {
    "serving": ("common", "prediction"),
    "video": ("common", "prediction"),
    "annotation": ("common", "data", "prediction", "evaluation"),
}
# `prediction` reads with the Keras model too, in one engine that is imported where it is asked for.
NOT = {"prediction": ("model",)}
ALLOWED_LATE = {("lpr_e2e.prediction.engines.keras_model", "model")}
# What `lpr_e2e` itself offers, and where it comes from.
OFFERED = {"PlateReader": "prediction", "Reading": "prediction", "__version__": "common"}

MOST_LINES, MOST_FUNCTION_LINES = 400, 60
# What may be longer, by `file` or `file:function`, and why.
LONGER: dict[str, str] = {}

# Modules of the standard library that Windows lacks, and calls that only a Unix has.
UNIX_MODULES = ("fcntl", "grp", "posix", "pwd", "resource", "termios", "tty", "pty")
UNIX_CALLS = ("fork", "forkpty", "getuid", "geteuid", "getpgid", "killpg", "mkfifo", "setsid")

TOP_LEVEL = {
    *("LICENSE", "README.md", "pyproject.toml", "requirements.txt"),
    *("train.py", "predict.py", "lpr_e2e", "saved_models", "tests"),
}


@dataclass(frozen=True)
class Import:
    """One import of a module of the package: `who` imports `what`, both with dots; when, and where that stands."""

    who: str
    what: str
    late: bool
    typing: bool
    place: str

    @property
    def rooms(self) -> tuple[str, str]:
        return _room(self.who), _room(self.what)


def _room(module: str) -> str:
    """`data` of `lpr_e2e.data.tables`; `lpr_e2e` of the package itself."""
    return (module.split(".") + [module])[1] if "." in module else module


def modules(package: Path) -> dict[str, Path]:
    """Every module of a package, with dots, and its file."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(package: Path) -> list[Import]:
    """All imports within a package, those in functions and for type checkers included."""
    known, found = modules(package), []
    for who, path in known.items():
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        for node, late, typing in _walk(tree):
            for what in _targets(node, who, path, known):
                found.append(Import(who, what, late, typing, f"{path.relative_to(package.parent)}:{node.lineno}"))
    return found


def _walk(node: ast.AST, late: bool = False, typing: bool = False) -> Iterator[tuple[ast.AST, bool, bool]]:
    """Every node with whether it stands in a function, and whether only a type checker sees it."""
    for child in ast.iter_child_nodes(node):
        inside = late or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        checked = typing or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
        yield child, inside, checked
        yield from _walk(child, inside, checked)


def _targets(node: ast.AST, who: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The package's modules that a node imports."""
    top = who.partition(".")[0]
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == top)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = who.split(".") if path.name == "__init__.py" else who.split(".")[:-1]
            parts = parts[: len(parts) - node.level + 1]
            base = ".".join([*parts, *([node.module] if node.module else [])])
        if base.partition(".")[0] != top:
            return
        for alias in node.names:
            within = f"{base}.{alias.name}"
            if base == top and within not in known and alias.name in OFFERED:
                yield f"{top}.{OFFERED[alias.name]}"
            else:
                yield within if within in known else base
    elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "import_module" and node.args:
        first = node.args[0]
        if isinstance(first, ast.Constant) and str(first.value).partition(".")[0] == top:
            yield str(first.value)


def wrong_ways(package: Path) -> Iterator[str]:
    """Imports that go up or sideways."""
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    top = len(FLOORS) - 1
    for one in imports(package):
        room, other = one.rooms
        if room == other or room == package.name or floor.get(room) == top:
            continue
        if room not in floor:
            yield f"{one.place}: {room} is no room of the house"
        elif (one.who, other) in ALLOWED_LATE:
            if not (one.late or one.typing):
                yield f"{one.place}: {one.who} imports {other} before it is asked for"
        elif other in NOT.get(room, ()) or other not in ONLY.get(room, (other,)):
            yield f"{one.place}: {room} may not import {other}"
        elif floor.get(other, top) >= floor[room]:
            yield f"{one.place}: {room} imports {other}, which is not below it"


def circles(package: Path) -> Iterator[str]:
    """Modules that import each other when they are imported, as a chain of names."""
    known = modules(package)
    graph: dict[str, set[str]] = {name: set() for name in known}
    for one in imports(package):
        if not one.late and not one.typing and one.what in known:
            graph[one.who].add(one.what)
    done: set[str] = set()

    def visit(name: str, chain: tuple[str, ...]) -> Iterator[str]:
        if name in chain:
            yield " -> ".join([*chain[chain.index(name) :], name])
        elif name not in done:
            for other in sorted(graph[name]):
                yield from visit(other, (*chain, name))
            done.add(name)

    for name in graph:
        yield from visit(name, ())


def too_long(package: Path) -> dict[str, int]:
    """Files and functions with too many lines, docstrings included: `file` or `file:function` to lines."""
    found = {}
    for path in sorted(one for one in package.rglob("*") if one.suffix in (".py", ".html", ".js")):
        name, text = path.relative_to(package).as_posix(), path.read_text(encoding="utf-8")
        if text.count("\n") > MOST_LINES:
            found[name] = text.count("\n")
        for node in ast.walk(ast.parse(text)) if path.suffix == ".py" else ():
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = node.end_lineno - node.lineno + 1
                if lines > MOST_FUNCTION_LINES:
                    found[f"{name}:{node.name}"] = lines
    return found


def only_unix(package: Path) -> Iterator[str]:
    """Imports and calls that Windows does not have, where nothing is prepared for that."""
    for path in modules(package).values():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        prepared = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.Try) or (isinstance(node, ast.If) and "hasattr(os" in ast.unparse(node.test))
            for part in node.body
            for inner in ast.walk(part)
        }
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            calls = [node.attr] if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os" else []
            for name in [*set(names).intersection(UNIX_MODULES), *set(calls).intersection(UNIX_CALLS)]:
                if id(node) not in prepared:
                    yield f"{path.relative_to(package.parent)}:{node.lineno}: {name}"


def parsers(package: Path) -> Iterator[str]:
    """Modules that parse a command line and are no command."""
    for name, path in modules(package).items():
        if _room(name) not in FLOORS[-1]:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import) and "argparse" in [alias.name for alias in node.names]:
                    yield f"{name}: argparse belongs into lpr_e2e.commands"


def test_imports_go_down_only():
    assert not list(wrong_ways(PACKAGE))


def test_no_module_imports_itself_around_a_corner():
    assert not list(circles(PACKAGE))


def test_files_and_functions_are_small():
    found = too_long(PACKAGE)
    assert {name: lines for name, lines in found.items() if name not in LONGER} == {}
    assert set(LONGER) <= set(found), "an exception that is none any more"
    assert all(LONGER.values())


def test_nothing_is_used_that_only_a_unix_has():
    assert not list(only_unix(PACKAGE))


def test_command_lines_are_parsed_by_commands():
    assert not list(parsers(PACKAGE))


def test_every_room_says_what_it_holds():
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert rooms | {"cli", "__main__"} == {room for floor in FLOORS for room in floor}
    about = ast.get_docstring(ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))) or ""
    for room in rooms:
        assert f"`{room}`" in about, room
        assert ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))), room


@pytest.mark.skipif(not (ROOT / ".git").exists() or not shutil.which("git"), reason="no checkout")
def test_the_top_level_holds_what_was_agreed():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    entries = {line.partition("/")[0] for line in listed.stdout.splitlines()}
    assert {entry for entry in entries if not entry.startswith(".")} == TOP_LEVEL


class TestTheRules:
    """Each rule finds what breaks it in a made-up package."""

    @pytest.fixture
    def house(self, tmp_path):
        """Makes `lpr_e2e` with these files beside an empty one of every room."""

        def build(files: dict[str, str]) -> Path:
            package = tmp_path / "lpr_e2e"
            rooms = [f"{room}/__init__.py" for floor in FLOORS[:-1] for room in floor]
            empty = ["__init__.py", "common/files.py", "prediction/reader.py", "model/plate_model.py", "data/tables.py"]
            for name, text in {**dict.fromkeys([*rooms, *empty], ""), **files}.items():
                path = package / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            return package

        return build

    @pytest.mark.parametrize(
        ("file", "line"),
        [
            ("data/a.py", "from lpr_e2e.prediction.reader import PlateReader"),
            ("data/a.py", "import lpr_e2e.prediction.reader"),
            ("data/a.py", "import lpr_e2e.prediction.reader as x"),
            ("data/a.py", "from lpr_e2e import prediction"),
            ("data/a.py", "from lpr_e2e import PlateReader"),
            ("data/a.py", "from ..prediction import reader"),
            ("data/a.py", "from .. import prediction"),
            ("data/__init__.py", "from ..prediction import reader"),
            ("data/a.py", "def late():\n    from lpr_e2e.prediction.reader import PlateReader"),
            ("data/a.py", "class A:\n    def late(self):\n        import lpr_e2e.training"),
            ("data/a.py", "import importlib; importlib.import_module('lpr_e2e.prediction.reader')"),
            ("data/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lpr_e2e.training import x"),
            ("data/a.py", "try:\n    import lpr_e2e.cli\nexcept ImportError:\n    pass"),
            ("data/a.py", "from lpr_e2e.drawing import plates"),  # Sideways.
            ("data/a.py", "from lpr_e2e.model import plate_model"),
            ("export/a.py", "import lpr_e2e.serving"),
            ("training/a.py", "from lpr_e2e.commands import train"),
            ("training/a.py", "from lpr_e2e import cli"),
            ("serving/a.py", "from lpr_e2e.evaluation import metrics"),  # Below it, but not needed there.
            ("prediction/a.py", "def late():\n    from lpr_e2e.model import plate_model"),
            ("prediction/engines/keras_model.py", "from lpr_e2e.model import plate_model"),  # Not late.
            ("common/a.py", "from lpr_e2e.data import tables"),
            ("shed/a.py", "from lpr_e2e.common import files"),  # No room of the house.
        ],
    )
    def test_a_wrong_way_is_found(self, house, file, line):
        (found,) = set(wrong_ways(house({file: line})))
        assert found.startswith(f"lpr_e2e/{file}:")

    @pytest.mark.parametrize(
        ("file", "line"),
        [
            ("data/a.py", "from lpr_e2e.common.files import whole_file"),
            ("data/a.py", "from lpr_e2e.data import tables"),
            ("data/a.py", "from . import tables"),
            ("data/a.py", "from lpr_e2e import __version__"),
            ("data/a.py", "import lpr_e2e_tools, numpy"),
            ("prediction/a.py", "from lpr_e2e.data import tables"),
            ("prediction/engines/keras_model.py", "def load():\n    from lpr_e2e.model import plate_model"),
            ("prediction/engines/keras_model.py", "if TYPE_CHECKING:\n    from lpr_e2e.model import plate_model"),
            ("training/a.py", "from lpr_e2e.model import plate_model"),
            ("serving/a.py", "from lpr_e2e.prediction.reader import PlateReader"),
            ("commands/a.py", "from lpr_e2e.cli import x"),
            ("cli.py", "import lpr_e2e.training"),
            ("__init__.py", "from lpr_e2e.prediction import reader"),
        ],
    )
    def test_a_right_way_is_none(self, house, file, line):
        assert not list(wrong_ways(house({file: line})))

    def test_a_circle_is_found(self, house):
        package = house(
            {
                "data/a.py": "from lpr_e2e.data import b",
                "data/b.py": "import lpr_e2e.data.c",
                "data/c.py": "from .a import x",
            }
        )
        assert list(circles(package)) == ["lpr_e2e.data.a -> lpr_e2e.data.b -> lpr_e2e.data.c -> lpr_e2e.data.a"]

    @pytest.mark.parametrize(
        "closing", ["def late():\n    from lpr_e2e.data import a", "if TYPE_CHECKING:\n    from . import a"]
    )
    def test_a_late_import_closes_no_circle(self, house, closing):
        assert not list(circles(house({"data/a.py": "from lpr_e2e.data import b", "data/b.py": closing})))

    def test_long_files_and_functions_are_found(self, house):
        long = "def long():\n" + "    x = 1\n" * MOST_FUNCTION_LINES
        short = "async def short():\n" + "    x = 1\n" * (MOST_FUNCTION_LINES - 1)
        files = {
            "data/a.py": f"class A:\n    {long.replace(chr(10), chr(10) + '    ')}\n{short}",
            "data/b.py": "#\n" * (MOST_LINES + 1),
            "data/c.py": "#\n" * MOST_LINES,
            "data/d.html": "\n" * (MOST_LINES + 2),
        }
        assert too_long(house(files)) == {"data/a.py:long": 61, "data/b.py": 401, "data/d.html": 402}

    def test_what_only_a_unix_has_is_found(self, house):
        files = {
            "data/a.py": "import fcntl",
            "data/b.py": "def f():\n    from resource import getrusage",
            "data/c.py": "import os\nos.fork()",
            "data/d.py": "try:\n    import resource\nexcept ImportError:\n    resource = None",
            "data/e.py": "import os\nif hasattr(os, 'fork'):\n    os.fork()",
            "data/f.py": "from lpr_e2e.data import resource",
        }
        found = [line.partition(":")[0] for line in only_unix(house(files))]
        assert found == ["lpr_e2e/data/a.py", "lpr_e2e/data/b.py", "lpr_e2e/data/c.py"]

    def test_a_parser_outside_the_commands_is_found(self, house):
        files = {"data/a.py": "def main():\n    import argparse", "commands/a.py": "import argparse"}
        assert list(parsers(house(files))) == ["lpr_e2e.data.a: argparse belongs into lpr_e2e.commands"]
