"""What the pages and the docstrings show can be typed in as it stands, and every page is found from the README."""

from __future__ import annotations

import argparse
import doctest
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpr_e2e.cli import COMMANDS
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.drawing.scenes import draw_scene
from lpr_e2e.prediction import reader as prediction

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = [
    README,
    *sorted((ROOT / ".github").rglob("*.md")),
    *sorted((ROOT / "lpr_e2e").rglob("*.md")),
    ROOT / "saved_models/README.md",
    ROOT / "tests/README.md",
]
MOST_README_LINES = 200
# The page that tells of each command, in its room.
ROOMS = {
    "train": "training",
    "predict": "prediction",
    "video": "video",
    "check": "data",
    "label": "annotation",
    "loop": "annotation",
    "draw": "data",
    "import": "data",
    "export-labels": "data",
    "export": "export",
    "evaluate": "evaluation",
    "robustness": "experiments",
    "ablation": "experiments",
    "average": "training",
    "benchmark": "experiments",
    "curve": "experiments",
    "sweep": "experiments",
    "batch": "serving",
    "serve": "serving",
    "models": "prediction",
}
# Options on the pages that belong to other programs.
FOREIGN_OPTIONS = {"--logdir", "--config", "--runner", "--sdk_container_image", "--version"}
# What stands for a command, not being one.
ANY_COMMAND = "COMMAND"


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code_of(page: Path, language: str) -> list[str]:
    """The blocks of code of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", text_of(page), re.S)


def prose_of(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"```.*?```", "", text_of(page), flags=re.S)


def links_of(page: Path) -> list[tuple[Path, str]]:
    """Where the links and pictures of a page lead within the project: file, and heading or an empty text."""
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if "://" not in target:
            file, _, heading = target.partition("#")
            found.append(((page.parent / file).resolve() if file else page, heading))
    return found


def headings_of(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    lines = re.findall(r"^#+ (.*)$", prose_of(page), re.M)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def lines_of_commands(page: Path) -> Iterator[str]:
    """Every line of a page that calls something, in blocks of code and in the text."""
    for block in code_of(page, "sh"):
        for line in block.splitlines():
            yield from re.split(r" && | \|\| ", line)
    for line in re.findall(r"`([^`\n]+)`", prose_of(page)):
        yield line


def called(line: str) -> tuple[str, list[str]] | None:
    """The command of ours that a line of a shell calls, and its arguments; None if it calls something else."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # No line of a shell.
        return None
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    if not words:
        return None
    program, *rest = words
    if program == "lpr-e2e" and rest:
        return rest[0], rest[1:]
    if Path(program).name in ("python", "python3"):
        if rest[:2] == ["-m", "lpr_e2e"] and rest[2:]:
            return rest[2], rest[3:]
        if rest and rest[0] in ("train.py", "predict.py"):
            return rest[0].removesuffix(".py"), rest[1:]
    return None


class Parser(argparse.ArgumentParser):
    """Raises where the real one would end the process."""

    def error(self, message: str):
        raise ValueError(message)


def parser_of(command: str) -> tuple[Parser, bool]:
    """The parser of a command, and whether it leaves unknown arguments to somebody else."""
    module = importlib.import_module(COMMANDS[command][0])
    parser = Parser()
    module.add_arguments(parser)
    return parser, getattr(module, "TAKES_REST", False)


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """All long options of a parser, and of its sub-commands, that help shows."""
    found = set()
    for action in parser._actions:
        if action.help != argparse.SUPPRESS:
            found |= {option for option in action.option_strings if option.startswith("--")}
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                found |= options_of(inner)
    return found - {"--help"}


class TestPages:
    def test_the_readme_is_short(self):
        assert len(text_of(README).splitlines()) <= MOST_README_LINES

    def test_every_page_is_opened_from_the_readme(self):
        assert set(PAGES) - {README} <= {file for file, _ in links_of(README)}

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
    def test_links_and_pictures_lead_somewhere(self, page):
        for file, heading in links_of(page):
            assert file.exists(), file
            assert not heading or heading in headings_of(file), f"{file}: no heading {heading}"

    def test_every_room_with_a_page_names_its_files_there(self):
        for page in (ROOT / "lpr_e2e").glob("*/README.md"):
            linked = {file for file, _ in links_of(page)}
            missing = {path.name for path in page.parent.glob("*.py") if path not in linked} - {"__init__.py"}
            assert not missing, page

    def test_the_other_rooms_files_are_named_where_the_house_is_described(self):
        named = set(re.findall(r"`(\w+)`", text_of(ROOT / ".github/CONTRIBUTING.md")))
        for room in ("common", "drawing"):
            assert {path.stem for path in (ROOT / "lpr_e2e" / room).glob("*.py")} - {"__init__"} <= named

    def test_the_tests_are_named_on_their_page(self):
        named = set(re.findall(r"`(test_\w+)`", text_of(ROOT / "tests/README.md")))
        assert named == {path.stem for path in (ROOT / "tests").glob("test_*.py")}

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
    def test_tests_that_a_page_names_exist(self, page):
        for name in re.findall(r"`(?:tests/)?(test_\w+)(?:\.py)?`", text_of(page)):
            assert (ROOT / "tests" / f"{name}.py").exists(), name


class TestCommands:
    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
    def test_every_line_is_understood_by_its_command(self, page):
        for line in lines_of_commands(page):
            command, arguments = called(line) or (ANY_COMMAND, [])
            if command == ANY_COMMAND or command.startswith("--"):
                continue
            assert command in COMMANDS, line
            if not arguments and f"\n{line}\n" not in text_of(page):
                continue  # A command that is named in the text, not called.
            parser, takes_rest = parser_of(command)
            try:
                (parser.parse_known_args if takes_rest else parser.parse_args)(arguments)
            except ValueError as error:
                pytest.fail(f"{line}: {error}")

    def test_lines_are_found(self):
        """A pattern that finds nothing would be content with everything."""
        lines = [line for page in PAGES for line in lines_of_commands(page)]
        commands = {found[0] for found in map(called, lines) if found}
        assert set(COMMANDS) <= commands

    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_option_is_explained_in_its_room(self, command):
        page = text_of(ROOT / "lpr_e2e" / ROOMS[command] / "README.md")
        parser, _ = parser_of(command)
        assert {option for option in options_of(parser) if not re.search(rf"{option}\b", page)} == set()

    def test_options_on_the_pages_exist(self):
        known = FOREIGN_OPTIONS | {"--print-completion", "--help"}
        for command in COMMANDS:
            known |= options_of(parser_of(command)[0])
        for page in PAGES:
            told = {option for span in re.findall(r"`([^`\n]+)`", prose_of(page)) for option in _options_in(span)}
            assert told <= known, page


def _options_in(span: str) -> list[str]:
    """The long options in a piece of inline code that is a call of ours, or an option alone."""
    if called(span) or span.startswith("--"):
        return re.findall(r"(?<![\w-])--[a-z][\w-]*", span)
    return []


class Saying(PlatePainter):
    """Draws plates that say this."""

    def sample_text(self, rng: np.random.Generator) -> str:
        return "123T4567"


@pytest.fixture
def car(tmp_path, monkeypatch):
    """`car.jpg` in the current folder, a drawn photograph of a car whose plate says 123T4567."""
    painter = Saying(["123T4567", "45T678"], worn=0.0, two_lines=0.0)
    scene = draw_scene(painter, np.random.default_rng(5))
    Image.fromarray(scene.photograph).save(tmp_path / "car.jpg", quality=95)
    monkeypatch.chdir(tmp_path)


class TestExamples:
    def test_the_reader_in_its_docstring(self, car):
        assert doctest.testmod(prediction).attempted >= 3
        assert not doctest.testmod(prediction).failed

    @pytest.mark.parametrize("page", ["README.md", "lpr_e2e/prediction/README.md"])
    def test_the_reader(self, car, capsys, page):
        example = code_of(ROOT / page, "python")[0]
        exec(compile(example, page, "exec"), {})
        assert capsys.readouterr().out.startswith("123T4567 0.9")

    def test_what_the_reader_takes(self, car, capsys):
        page = ROOT / "lpr_e2e/prediction/README.md"
        exec(compile(code_of(page, "python")[1], str(page), "exec"), {})
        assert capsys.readouterr().out == "123T4567 123T4567 unreadable: not a picture\n123T4567\n"

    def test_taking_the_model_apart(self, capsys, monkeypatch):
        monkeypatch.chdir(ROOT)
        page = ROOT / "lpr_e2e/model/README.md"
        (example,) = code_of(page, "python")
        names: dict = {}
        exec(compile(example, str(page), "exec"), names)
        said = capsys.readouterr().out.splitlines()[-1]
        taken, weights = map(int, re.search(r"(\d+) of (\d+) weights", said).groups())
        assert weights - 10 < taken <= weights
        assert {layer.name for layer in names["theirs"].reader.layers if layer.trainable} == {"decoder"}
