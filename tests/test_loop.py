"""Rounds of labelling and training: where each begins, what it goes on with, and when all is done."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra label is not installed")

from lpr_e2e.annotation.answers import Answers, revision_of  # noqa: E402
from lpr_e2e.annotation.beginning import Beginning  # noqa: E402
from lpr_e2e.annotation.desk import Desk  # noqa: E402
from lpr_e2e.annotation.site import Server  # noqa: E402
from lpr_e2e.cli import main  # noqa: E402
from lpr_e2e.commands import loop  # noqa: E402
from lpr_e2e.data.labels import NOTHING_SAID  # noqa: E402
from lpr_e2e.data.samples import Plate  # noqa: E402
from lpr_e2e.prediction.reader import PlateReader  # noqa: E402

PHOTOGRAPHS = 7
NEW = revision_of(None)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photographs").mkdir()
    for number in range(PHOTOGRAPHS):
        picture = np.random.default_rng(number).integers(0, 256, (40, 60, 3), "uint8")
        Image.fromarray(picture).save(tmp_path / "photographs" / f"{number}.png")
    return tmp_path / "photographs"


class Person:
    """Answers at once what is wanted, unless it is told to stop; and trainings that only note what they were given."""

    def __init__(self, monkeypatch, folder: Path):
        self.folder, self.patience = folder, 99
        self.models, self.trainings, self.codes = [], [], []
        monkeypatch.setattr(loop, "answer", self.answer)
        monkeypatch.setattr(loop.subprocess, "run", self.train)
        monkeypatch.setattr(PlateReader, "load", self.load)

    def load(self, path, *_, **__):
        self.models.append(str(path))

    def answer(self, beginning, output, reader, port, opens_browser, goal):
        with Answers(output) as answers:
            desk = Desk(beginning, answers, goal)
            while desk.wanted and self.patience:
                number = desk.next(1)[0]
                desk.answer(number, [((5.0, 5.0, 15.0, 35.0), f"AB{number}")], NEW)
                self.patience -= 1
            return desk.progress()

    def train(self, called):
        self.trainings.append(called[called.index("train") + 1 :])
        run = Path(called[called.index("--resume" if "--resume" in called else "--run") + 1])
        run.mkdir(exist_ok=True)
        (run / "config.json").write_text("{}")
        code = self.codes.pop(0) if self.codes else 0
        if not code:
            (run / "figures.json").write_text(json.dumps({"texts": 2, "plates_right": len(self.trainings) / 4}))
        return type("Done", (), {"returncode": code})


def called(folder: Path, tmp_path: Path) -> list[str]:
    return ["loop", str(folder), "--round", "3", "--runs", str(tmp_path / "runs"), "--no-browser"]


def test_rounds_go_on_until_all_is_answered(folder, tmp_path, monkeypatch, capsys):
    person = Person(monkeypatch, folder)
    assert main(called(folder, tmp_path)) == 0
    runs = [tmp_path / "runs" / f"round-{number:02}" for number in (1, 2, 3)]
    assert [one[-1] for one in person.trainings] == [str(one) for one in runs]
    # Each training begins with the base weights, never with a round that has seen what is held out now.
    assert all(
        "--weights" not in one and one[:4] == ["--data", str(folder), "--preset", "quick"] for one in person.trainings
    )
    assert person.models == ["base", *(str(one / "best.keras") for one in runs)]
    said = capsys.readouterr().out
    table = said[said.rindex("round  answered") :].splitlines()
    assert [line.split()[:3] for line in table[1:4]] == [["1", "3", "25%"], ["2", "6", "50%"], ["3", "7", "75%"]]
    assert "All photographs are answered" in table[4]


def test_it_goes_on_where_it_was_ended(folder, tmp_path, monkeypatch, capsys):
    person = Person(monkeypatch, folder)
    person.patience = 4  # The second round is left in the middle.
    assert main(called(folder, tmp_path)) == 0
    assert len(person.trainings) == 1 and "4 photographs are answered. Go on:" in capsys.readouterr().out
    person.patience, person.codes = 99, [130]
    assert main(called(folder, tmp_path)) == 130  # The training of the second round is interrupted.
    assert len(person.trainings) == 2
    assert main(called(folder, tmp_path)) == 0
    second = str(tmp_path / "runs" / "round-02")
    assert person.trainings[2] == ["--resume", second] and person.trainings[3][-1] != second
    table = capsys.readouterr().out.split("round  answered")[-1].splitlines()
    assert [line.split()[1] for line in table[1:4]] == ["3", "6", "7"]  # The round left in the middle was filled up.


def test_a_damaged_round_is_named(folder, tmp_path, monkeypatch, capsys):
    Person(monkeypatch, folder)
    assert main(called(folder, tmp_path)) == 0
    (tmp_path / "runs" / "round-02.json").write_text("{")
    assert main(called(folder, tmp_path)) == 0  # All is answered: only the last round is looked at.
    (tmp_path / "runs" / "round-03.json").unlink()
    assert main(called(folder, tmp_path)) == 2
    assert "round-03: no round of a loop" in capsys.readouterr().err


def test_rounds_of_other_photographs_are_not_gone_on_with(folder, tmp_path, monkeypatch, capsys):
    """Two folders of one name have the same runs unless told: a model of one would order the other, and train on it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b").mkdir()
    other = Path(shutil.copytree(folder, tmp_path / "b" / folder.name))
    person = Person(monkeypatch, folder)
    assert main(["loop", str(folder), "--round", "4"]) == 0
    before = len(person.models), len(person.trainings)
    for given in (str(other), f"b/../b/{folder.name}"):
        assert main(["loop", given, "--round", "4"]) == 2
        said = capsys.readouterr().err
        assert f"is of the photographs in {folder}; name another folder with --runs" in said and said.count("\n") == 1
    assert (len(person.models), len(person.trainings)) == before and not (other / "labels.csv").exists()
    assert main(["loop", str(other), "--round", "4", "--runs", "others"]) == 0
    moved = folder.rename(tmp_path / "moved")
    assert main(["loop", str(moved), "--round", "4", "--runs", f"runs/loop-{folder.name}"]) == 0


@pytest.mark.parametrize("runs", ["file", "file/runs", "file/deeper/runs"])
def test_runs_that_cannot_be_made_are_refused_before_anybody_labels(folder, tmp_path, monkeypatch, capsys, runs):
    person = Person(monkeypatch, folder)
    (tmp_path / "file").write_text("mine")
    assert main(["loop", str(folder), "--runs", str(tmp_path / runs)]) == 2
    assert "file is a file; expected a folder" in capsys.readouterr().err
    assert not person.models and not (folder / "labels.csv").exists() and (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("options", [["--preset", "standard"], ["--runs", "mine"], []])
def test_how_to_go_on_is_with_the_same_rounds(folder, tmp_path, monkeypatch, capsys, options):
    """Without `--runs`, say, it began with other weights."""
    monkeypatch.chdir(tmp_path)
    Person(monkeypatch, folder).patience = 1
    assert main(["loop", str(folder), *options]) == 0
    assert capsys.readouterr().out.endswith(f"Go on: {' '.join(['lpr-e2e loop', str(folder), *options])}\n")


def test_the_page_ends_when_enough_is_answered(folder, tmp_path):
    with Answers(tmp_path / "labels.csv") as answers:
        desk = Desk(Beginning.of(folder, NOTHING_SAID, None, None), answers, goal=2)
        seen = [desk.wanted]
        with Server(desk) as server:
            for number in (0, 1):
                desk.answer(number, [((5.0, 5.0, 15.0, 35.0), "AB1")], NEW)
                seen.append(desk.wanted)
            server.wait(lambda: desk.wanted == 0)
        assert seen == [2, 1, 0] and desk.progress()["wanted"] == 0
        plates = (Plate((5.0, 5.0, 15.0, 35.0), "AB1"),)
        desk.answer(1, None, revision_of(plates))  # Taken back.
        assert desk.wanted == 1
    assert Desk(Beginning.of(folder, NOTHING_SAID, None, None), answers).wanted is None


@pytest.mark.parametrize("wrong", ["0", "-3", "many", "2.5"])
def test_a_wrong_number_of_answers_is_refused(folder, wrong, capsys):
    with pytest.raises(SystemExit) as raised:
        main(["loop", str(folder), f"--round={wrong}"])
    assert raised.value.code == 2 and f"{wrong}: expected at least 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("round-03.json", "[]"),
        ("round-03.json", "{}"),
        ("round-03.json", '{"answered": "many"}'),
        ("round-03/figures.json", "7"),
        ("round-03/figures.json", '{"texts": 2, "plates_right": 40}'),
        ("round-03/figures.json", '{"texts": Infinity}'),
    ],
)
def test_a_round_that_says_something_else_is_named(folder, tmp_path, monkeypatch, capsys, file, content):
    Person(monkeypatch, folder)
    assert main(called(folder, tmp_path)) == 0
    (tmp_path / "runs" / file).write_text(content)
    assert main(called(folder, tmp_path)) == 2
    said = capsys.readouterr().err
    assert "round-03: no round of a loop" in said and said.count("\n") == 1
