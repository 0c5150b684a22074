"""The benchmark: ratios are the right way round, and what cannot be measured is said in one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
from PIL import Image

from lpr_e2e.cli import main
from lpr_e2e.common import images
from lpr_e2e.common.errors import UserError
from lpr_e2e.experiments import benchmark, processes, reading_speed
from lpr_e2e.prediction import models
from lpr_e2e.prediction.reader import PlateReader


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (40, 30)).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


def test_a_peer_is_measured_in_its_own_interpreter(photographs, tmp_path, monkeypatch):
    (tmp_path / "rapidocr.py").write_text(
        "import time\n"
        "class RapidOCR:\n"
        "    txts = ()\n"
        "    def __init__(self, params=None): pass\n"
        "    def __call__(self, path): time.sleep(0.02); return self\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = reading_speed.rapidocr(sys.executable, photographs, 1)
    assert found["single_ms"] >= 20 and found["folder_ms"] >= 20
    assert found["cold_ms"] > found["single_ms"]


def test_ratios_say_how_much_faster_than_the_peer():
    peer = {"single_ms": 300.0, "cold_ms": 3000.0, "folder_ms": 300.0}
    ours = {"single_ms": 20.0, "cold_ms": 1000.0, "folder_ms": 10.0, "peak_mb": 500.0, "model_mb": 6.7}
    steps = {"joint": {"pipeline_s": 1.0, "constant_s": 0.75}}
    lines = benchmark.table({"RapidOCR": peer, "ONNX": ours, "training": steps}).splitlines()
    assert [cell for cell in lines[3].split() if "/" in cell] == ["1/15.0", "1/3.0", "1/30.0"]
    assert "75% of a constant batch" in lines[4]


class Clock:
    """Reads photographs, one in 20 ms, in a folder in 5 ms, the first three in a second; and tells the time."""

    def __init__(self):
        self.now, self.count = 0.0, 0

    def one(self, seconds):
        self.now += 1.0 if self.count < 3 else seconds
        self.count += 1

    def read(self, path):
        self.one(0.020)

    def read_files(self, photographs):
        for photograph in photographs:
            self.one(0.005)
            yield photograph


@pytest.mark.parametrize(
    ("measure", "figure", "ms"), [("time_single", "single_ms", 20), ("time_folder", "folder_ms", 5)]
)
def test_a_reader_is_measured_when_it_is_warm(photographs, tmp_path, monkeypatch, capsys, measure, figure, ms):
    clock = Clock()
    monkeypatch.setattr(PlateReader, "load", lambda model, threads: clock)
    monkeypatch.setattr(reading_speed.time, "perf_counter", lambda: clock.now)
    (tmp_path / "files").write_text("\n".join(map(str, photographs)))
    getattr(reading_speed, measure)("model", str(tmp_path / "files"))
    measured = json.loads(capsys.readouterr().out)
    assert measured[figure] == pytest.approx(ms) and measured["peak_mb"] > 10


def test_the_floor_is_what_decoding_and_networks_take(photographs, tmp_path, monkeypatch, capsys):
    clock = Clock()

    class Engine:
        def find(self, scenes):
            clock.now += 0.010

        def read(self, glimpses):
            clock.now += 0.004

    class Reader:
        def __init__(self):
            self.driver = SimpleNamespace(engine=Engine())

        def read(self, path):
            read_picture(path)
            for call in ("find", "find", "read"):
                getattr(self.driver.engine, call)(None)
            clock.now += 0.007

    def taking(seconds):
        def decode(*_):
            clock.now += seconds

        return decode

    read_picture = taking(0.005)
    monkeypatch.setattr(images, "read_picture", read_picture)
    monkeypatch.setattr(cv2, "imread", taking(0.003))
    monkeypatch.setattr(PlateReader, "load", lambda model, threads: Reader())
    monkeypatch.setattr(reading_speed.time, "perf_counter", lambda: clock.now)
    (tmp_path / "files").write_text("\n".join(map(str, photographs)))
    reading_speed.time_floor("model", str(tmp_path / "files"))
    measured = json.loads(capsys.readouterr().out)
    assert {name: round(value, 3) for name, value in measured.items()} == {
        "opencv_ms": 3,
        "decoding_ms": 5,
        "find_ms": 20,
        "read_ms": 4,
        "rest_ms": 7,
        "whole_ms": 36,
        "floor_ms": 27,
        "floor_ratio": 1.333,
    }
    assert "whole 36.0, 1.33 times its floor" in benchmark.table({"floor": {"ONNX": measured}})


def test_a_form_is_measured_in_processes_of_its_own(photographs, tmp_path, monkeypatch):
    scripts, commands = [], []

    def python(interpreter, script):
        scripts.append(script)
        return {"single_ms": 20.0, "folder_ms": 10.0, "peak_mb": 400.0 + len(scripts)}

    monkeypatch.setattr(reading_speed, "python", python)
    monkeypatch.setattr(reading_speed, "process_ms", lambda command, runs: commands.append(command) or 900.0)
    model = tmp_path / "model.keras"
    model.write_bytes(b"0" * 3_000_000)
    found = reading_speed.reading({"Keras": model}, photographs, many=70, runs=1)
    assert found == {
        "Keras": {
            "single_ms": 20.0,
            "folder_ms": 10.0,
            "cold_ms": 900.0,
            "peak_mb": 403.0,
            "peak_mb_few": 402.0,
            "model_mb": 3.0,
        }
    }
    assert [script.count("time_single") > 0 for script in scripts] == [True, False, False]
    for script in scripts:
        compile(script, "measured", "exec")
        assert repr(str(model)) in script
    assert str(photographs[0]) in commands[0] and str(model) in commands[0]


def test_memory_that_the_system_does_not_tell_is_left_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    assert processes.peak_mb() is None
    row = {"single_ms": 20.0, "cold_ms": 1000.0, "folder_ms": 10.0, "peak_mb": None, "model_mb": 6.7}
    assert benchmark.table({"ONNX": row}).splitlines()[1].split() == "ONNX 20.0 ms 1000.0 ms 10.0 ms 6.70 MB".split()


def test_the_training_on_another_format_stands_alone():
    found = {"other format": {"plates_right": 0.98, "photographs": 150}}
    assert benchmark.table(found) == "another format: 98.0% of 150 plates right"


def test_every_form_is_measured_alone(tmp_path):
    exported = tmp_path / "exported"
    exported.mkdir()
    exact = {"model.json", "find.onnx", "read.onnx", "weights.bin"}
    coarse = {"model.json", "find_int8.onnx", "read_int8.onnx", "weights_int8.bin"}
    for name in exact | coarse | {"plates_int8.tflite"}:
        (exported / name).write_text(name)
    alone = tmp_path / "alone"
    alone.mkdir()
    forms = reading_speed.exported_forms(exported, alone)
    # The fastest first. There is no plates.tflite.
    assert list(forms) == ["ONNX int8", "ONNX", "TFLite int8"]
    assert {path.name for path in forms["ONNX"].iterdir()} == exact
    assert {path.name for path in forms["ONNX int8"].iterdir()} == coarse
    assert {path.name for path in forms["TFLite int8"].iterdir()} == {"model.json", "plates_int8.tflite"}
    assert (forms["ONNX"] / "find.onnx").read_text() == "find.onnx"


def test_another_format_is_drawn_trained_and_not_repeated(tmp_path, monkeypatch):
    calls = []

    def train(arguments):
        calls.append(arguments)
        run = Path(arguments[arguments.index("--run") + 1])
        run.mkdir()
        (run / "figures.json").write_text(json.dumps({"plates_right": 0.9}))

    monkeypatch.setattr(benchmark, "train", train)
    monkeypatch.setattr(
        "lpr_e2e.drawing.scenes.write_demo", lambda folder, like, **counts: (folder.mkdir(), calls.append(like))
    )
    for _ in range(2):
        assert benchmark.other_format(0.4, tmp_path) == {"plates_right": 0.9}
    assert calls[0] == benchmark.OTHER_FORMAT and len(calls) == 2
    assert calls[1][-4:] == ["--set", "recognition.steps=2000", "--set", "joint.steps=3000"]
    noted = {"settings": {"recognition": {"steps": 2000}, "joint": {"steps": 3000}}}
    (tmp_path / "run" / "config.json").write_text(json.dumps(noted))
    assert benchmark.other_format(0.4, tmp_path) == {"plates_right": 0.9}
    with pytest.raises(UserError, match="trained with another effort than 0.8"):
        benchmark.other_format(0.8, tmp_path)


def test_another_format_alone_is_measured_and_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "other_format", lambda *_: {"plates_right": 0.98, "photographs": 150})
    assert main(["benchmark", "--other-format", "0.4", "--json", str(tmp_path / "found.json")]) == 0
    assert "98.0% of 150 plates" in capsys.readouterr().out
    assert json.loads((tmp_path / "found.json").read_text())["other format"]["plates_right"] == 0.98


@pytest.mark.parametrize("target", ["exported/model.json", "p/a.json", "best.keras"])
@pytest.mark.parametrize("named", [True, False])
def test_what_is_measured_is_not_written_over(target, named, tmp_path, monkeypatch, capsys):
    """Also where nobody has named it: the model that comes along, and photographs that a pattern finds."""
    monkeypatch.chdir(tmp_path)
    for name in ("exported/model.json", "p/a.json", "best.keras"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("mine")
    ours = models.ShippedModel("tunisia", "", "", {}, "", Path("best.keras").resolve(), Path("exported").resolve())
    monkeypatch.setattr(models, "shipped", lambda: {models.DEFAULT_NAME: ours})
    given = ["--keras", "best.keras", "--exported", "exported"] if named else []
    assert main(["benchmark", "p/*.json", *given, "--json", target]) == 2
    said = capsys.readouterr().err
    assert f"{target}: this would overwrite" in said and said.count("\n") == 1
    assert all(Path(name).read_text() == "mine" for name in ("exported/model.json", "p/a.json", "best.keras"))


def test_without_anything_to_measure_it_says_so(capsys):
    assert main(["benchmark"]) == 2
    assert "FOLDER" in capsys.readouterr().err


def test_copies_fill_a_folder_up(photographs):
    assert reading_speed.cycled(photographs, 7) == [*photographs, *photographs, photographs[0]]


def test_the_measured_photographs_are_spread_over_the_folder():
    assert reading_speed.spread(list(range(10)), 4) == [0, 2, 5, 7]
    assert reading_speed.spread(list(range(3)), 60) == [0, 1, 2]


def test_a_failing_process_is_named(tmp_path, photographs, capsys):
    with pytest.raises(UserError, match="no such thing"):
        processes.python(sys.executable, "raise ValueError('no such thing')")
    with pytest.raises(UserError, match="ended with 3"):
        processes.process_ms([sys.executable, "-c", "raise SystemExit(3)"], 1)
    assert main(["benchmark", str(photographs[0].parent), "--rapidocr", str(tmp_path / "nowhere")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_training_in_a_process_of_its_own_finds_the_package_and_fails_in_one_line(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="the training ended with 2"):
        processes.train(["--data", "no where", "--weights", "none"])
    said = capfd.readouterr()
    assert said.out == "lpr-e2e train --data 'no where' --weights none\n"
    assert said.err.splitlines()[-1].startswith("lpr-e2e train: no where: no such folder")


def test_a_measured_process_has_two_threads_everywhere():
    script = "import json; from lpr_e2e.common.cores import THREAD_VARIABLES as names; import os; "
    found = processes.python(sys.executable, script + "print(json.dumps([os.environ[name] for name in names]))")
    assert set(found) == {"2"}
