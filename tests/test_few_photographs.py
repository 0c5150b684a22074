"""How many photographs it takes: who is trained on what, in which order, and that nothing is trained twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpr_e2e.annotation.reading_ahead import proposed
from lpr_e2e.cli import main
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import owned
from lpr_e2e.data.dataset import load_dataset
from lpr_e2e.data.samples import Dataset, Photograph, Plate
from lpr_e2e.experiments import few_photographs
from lpr_e2e.experiments.few_photographs import CHANCE, USEFUL, Curve, Point, plot, table
from lpr_e2e.prediction.reading import Reading

BOX = (60.0, 60.0, 90.0, 130.0)
START = Path("start.keras")
TRAINED, HELD = 30, 12


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("photographs")

    def photographs(kind: str, count: int) -> list[Photograph]:
        found = []
        for number in range(count):
            path = folder / f"{kind}{number}.png"
            rng = np.random.default_rng([len(kind), number])
            Image.fromarray(rng.integers(0, 255, (120, 160, 3), "uint8")).save(path)
            found.append(Photograph(path.stem, path, (Plate(BOX, f"{1000 + number}"),)))
        return found

    without_text = Photograph("no text", folder / "held0.png", (Plate(BOX),))
    held = [*photographs("held", HELD), without_text]
    return Dataset([*photographs("train", TRAINED), without_text], [], held, [])


class FakeReader:
    """Reads as many held-out plates as its model had photographs; the others it doubts by their numbers."""

    def __init__(self, model: Path):
        self.model, self.known = model, 0
        if model != START:
            self.known = len(json.loads((model.parent / "photographs.json").read_text()))

    load = classmethod(lambda cls, model: cls(model))

    def read_files(self, named):
        for img_id, path in named:
            number = int(img_id.removeprefix("held").removeprefix("train"))
            text = f"{1000 + number}" if number < self.known else "0"
            status = "ok" if number % 2 else "uncertain"
            yield img_id, np.asarray(Image.open(path)), [Reading(img_id, text, number / 100, BOX, 1.0, status)]


@pytest.fixture
def curve(dataset, tmp_path, monkeypatch):
    """Makes curves whose trainings only note their arguments in `calls`, and what they were given."""

    def train(arguments):
        make.calls.append([*arguments])
        if make.failing:
            raise UserError("the training ended with 2")
        run = Path(arguments[arguments.index("--run" if "--run" in arguments else "--resume") + 1])
        run.mkdir(exist_ok=True)
        given = load_dataset(run.parent / "data", validation_share=0.0).photographs
        (run / "photographs.json").write_text(json.dumps([Path(one.img_id).stem for one in given]))

    def propose(model, photographs):
        return proposed(FakeReader(model).read_files((one.img_id, one.path) for one in photographs))

    def make(output="curve", arguments=("--preset", "quick")) -> Curve:
        return Curve(dataset, tmp_path, START, propose, arguments, tmp_path / output)

    make.calls, make.failing = [], False
    monkeypatch.setattr(few_photographs.processes, "train", train)
    monkeypatch.setattr(few_photographs, "PlateReader", FakeReader)
    return make


def given(tmp_path, order: str, draw: int, count: int) -> list[str]:
    return json.loads((tmp_path / "curve" / f"{order}-{draw}" / f"{count:04}" / "run" / "photographs.json").read_text())


def test_each_training_has_so_many_photographs_and_those_of_the_one_before(curve, tmp_path):
    points = curve().run([8, 4, 12], 2, [CHANCE])
    assert [(one.draw, one.photographs) for one in points] == [(0, 4), (0, 8), (0, 12), (1, 4), (1, 8), (1, 12)]
    for draw in (0, 1):
        few, more, most = (given(tmp_path, CHANCE, draw, count) for count in (4, 8, 12))
        assert set(few) < set(more) < set(most) and [len(few), len(more), len(most)] == [4, 8, 12]
        assert all(one.startswith("train") for one in most)
    assert set(given(tmp_path, CHANCE, 0, 12)) != set(given(tmp_path, CHANCE, 1, 12))


def test_it_is_judged_by_all_that_is_held_out_and_has_a_text(curve):
    points = curve().run([4, 8], 1, [CHANCE])
    assert [(one.texts, one.right) for one in points] == [(HELD, 4), (HELD, 8)]
    assert [(one.ok, one.ok_right) for one in points] == [(HELD // 2, 2), (HELD // 2, 4)]


def test_the_most_useful_are_the_most_doubtful_of_the_model_before(curve, tmp_path):
    curve().run([4, 8], 1, [USEFUL])
    few, more = (given(tmp_path, USEFUL, 0, count) for count in (4, 8))
    assert set(few) == {f"train{number}" for number in range(4)}  # Of which the start is least certain.
    assert set(more) == {f"train{number}" for number in range(8)}


def test_every_training_starts_from_the_same_weights_with_the_seed_of_its_draw(curve):
    curve(arguments=("--preset", "quick", "--set", "joint.steps=9")).run([4], 2, [CHANCE, USEFUL])
    assert len(curve.calls) == 4
    for call, draw in zip(curve.calls, (0, 0, 1, 1), strict=True):
        assert call[call.index("--weights") + 1] == str(START) and call[call.index("--seed") + 1] == str(draw)
        assert call[call.index("--preset") :][:4] == ["--preset", "quick", "--set", "joint.steps=9"]


def test_what_is_trained_is_not_trained_again_and_more_can_be_asked_for(curve):
    first = curve().run([4], 1, [CHANCE])
    assert curve().run([4], 1, [CHANCE]) == first and len(curve.calls) == 1
    assert curve().run([4, 6], 2, [CHANCE])[0] == first[0] and len(curve.calls) == 4


def test_a_training_that_ended_early_is_gone_on_with_on_the_same_photographs(curve, tmp_path):
    curve.failing = True
    with pytest.raises(UserError, match="ended with 2"):
        curve().run([4], 1, [USEFUL])
    folder = tmp_path / "curve" / f"{USEFUL}-0" / "0004"
    chosen = (folder / "chosen.json").read_text()
    (folder / "run").mkdir()
    (folder / "run" / "config.json").write_text("{}")
    curve.failing = False
    curve().run([4], 1, [USEFUL])
    assert curve.calls[1] == ["--resume", str(folder / "run")] and (folder / "chosen.json").read_text() == chosen


class TestRefusals:
    def test_more_photographs_than_there_are(self, curve, tmp_path):
        with pytest.raises(UserError, match=f"31 photographs: .* has {TRAINED} with a text"):
            curve().run([4, 31], 1, [CHANCE])
        assert not curve.calls

    def test_nothing_held_out(self, dataset, tmp_path):
        for held in ([], dataset.validation_photographs[-1:]):
            with pytest.raises(UserError, match="no photograph with a text is held out"):
                Curve(Dataset(dataset.photographs, [], held, []), tmp_path, START, list, (), tmp_path / "curve")

    def test_a_folder_of_another_call(self, curve):
        curve().run([4], 1, [CHANCE])
        with pytest.raises(UserError, match="trainings of another call.*--output"):
            curve(arguments=("--preset", "standard"))

    def test_another_process_in_the_folder(self, curve, tmp_path):
        one = curve()
        with owned(tmp_path / "curve" / "lock", "mine"), pytest.raises(UserError, match="another process works"):
            one.run([4], 1, [CHANCE])

    @pytest.mark.parametrize("name", ["figures.json", "chosen.json"])
    def test_a_damaged_file_is_named(self, curve, tmp_path, name):
        curve().run([4], 1, [USEFUL])
        (tmp_path / "curve" / f"{USEFUL}-0" / "0004" / name).write_text("{")
        with pytest.raises(UserError, match=f"{name}: damaged"):
            curve().run([4, 6], 1, [USEFUL])

    def test_a_damaged_note_of_the_call_is_named(self, curve, tmp_path):
        curve()
        (tmp_path / "curve" / "curve.json").write_text("{")
        with pytest.raises(UserError, match="curve.json: damaged"):
            curve()

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["nowhere"], "nowhere: no such file or folder"),
            ([".", "--weights", "none", "--preset", "standard"], "teach no model to read"),
            ([".", "--weights", "missing.keras"], "no model at missing.keras"),
        ],
    )
    def test_a_wrong_call(self, arguments, said, capsys, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert main(["curve", *arguments]) == 2
        assert said in capsys.readouterr().err and not any(tmp_path.iterdir())


POINTS = [
    Point(CHANCE, 0, 25, 100, 60, 50, 49),
    Point(CHANCE, 0, 50, 100, 80, 70, 69),
    Point(CHANCE, 1, 25, 100, 70, 50, 48),
    Point(CHANCE, 1, 50, 100, 90, 70, 70),
    Point(USEFUL, 0, 25, 100, 66, 0, 0),
]


def test_the_table_has_the_mean_of_the_draws_and_each(tmp_path):
    lines = table(POINTS).splitlines()
    assert len(lines) == 2 + 3
    assert "| 25 | chance | 65.0% of 100 (55.3% to 73.6%) | 60, 70 | 50.0% | 97 of 100 |" in lines
    assert "| 25 | useful | 66.0% of 100 (56.3% to 74.5%) | 66 | 0.0% | 0 of 0 |" in lines


def test_the_plot_shows_what_was_measured(tmp_path):
    plot(POINTS, tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.format == "PNG" and np.asarray(picture.convert("L")).std() > 10
    plot(POINTS[:1], tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "curve.png").read_bytes()
