"""Sweeps: what is tried, that nothing is tried twice or lost, whatever ends early, and who shares what was tried."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna")

from lpr_e2e.cli import main  # noqa: E402
from lpr_e2e.common.errors import UserError  # noqa: E402
from lpr_e2e.common.files import owned  # noqa: E402
from lpr_e2e.experiments.sweep import Call, Sweep, assignments, combinations, read_space  # noqa: E402
from lpr_e2e.training.settings import PRESETS  # noqa: E402

STANDARD = PRESETS["standard"]
# In place of a training: its accuracy is its learning rate. It ends early if a file says so, and then not again.
TRAINING = """
import json, pathlib, sys, time
given = sys.argv[1:]
new = "--run" in given
folder = pathlib.Path(given[given.index("--run" if new else "--resume") + 1])
folder.mkdir(exist_ok=True)
config = folder / "config.json"
if new:
    config.write_text(json.dumps(given))
sets = dict(one.split("=") for one in json.loads(config.read_text()) if "=" in one)
trap = folder.with_suffix(".trap")
if trap.exists():
    seconds = float(trap.read_text())
    trap.unlink()
    print("nearly done", flush=True)
    time.sleep(seconds)
    sys.exit(137)
(folder / "figures.json").write_text(json.dumps({"plates_right": float(sets["joint.learning_rate"]), "log_loss": 1.0}))
"""
RATES = tuple(f"0.{number}" for number in range(1, 7))


def listed(*values: str) -> dict:
    return {"joint.learning_rate": optuna.distributions.CategoricalDistribution(values)}


@pytest.fixture
def sweep(tmp_path):
    """Makes sweeps whose trainings only note their arguments in `calls`, and leave figures."""

    def make(space=None, output="sweep", figure="plates_right", **options) -> Sweep:
        def start(arguments, log):
            make.calls.append([*arguments])
            with log.open("ab") as file:
                return subprocess.Popen([sys.executable, "-c", TRAINING, *arguments], stdout=file, stderr=file)

        call = Call(space or listed(*RATES), ("--data", "cars"), figure)
        return Sweep(call, tmp_path / output, **{"start": start, **options})

    make.calls = []
    return make


def trap(tmp_path: Path, number: int, seconds: float = 0.0) -> None:
    """Let the training of a trial end early, after so many seconds."""
    (tmp_path / "sweep").mkdir(exist_ok=True)
    (tmp_path / "sweep" / f"trial-{number:04}.trap").write_text(str(seconds))


def values(sweep: Sweep) -> list[float]:
    return sorted(one.value for one in sweep.study.trials if one.value is not None)


class TestSpace:
    def read(self, tmp_path, text):
        path = tmp_path / "settings.yaml"
        path.write_text(text, encoding="utf-8")
        return read_space(path, STANDARD)

    def test_lists_and_ranges(self, tmp_path):
        space = self.read(
            tmp_path,
            "joint.learning_rate: {from: 0.0001, to: 0.01, scale: log}\n"
            "recognition.steps: {from: 250, to: 1000}\n"
            "mixture.partly: {from: 0, to: 1}\n"  # Whole numbers, but the setting is none.
            "mixture.real: [0.2, 0.4, 0.4]\n"
            "architecture.glimpse_size: [[48, 144], [64, 192]]\n",
        )
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        for _ in range(20):
            params = study.ask(space).params
            changed = STANDARD.changed(assignments(params))
            assert 1e-4 <= changed.joint.learning_rate <= 0.01
            assert 250 <= changed.recognition.steps <= 1000
            assert changed.architecture.glimpse_size in ((48, 144), (64, 192))
        assert isinstance(params["recognition.steps"], int) and 0 < params["mixture.partly"] < 1
        assert space["mixture.real"].choices == ("0.2", "0.4")
        assert combinations(space) is None
        assert combinations({name: space[name] for name in ("mixture.real", "architecture.glimpse_size")}) == 4

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "expected lines such as"),
            ("- 1", "expected lines such as"),
            ("7: [1]", "expected lines such as"),
            ("joint: {steps: [1, 2]}", "unknown|expected a list of values, or"),
            ("joint.learning_rates: [0.1]", "the nearest is joint.learning_rate="),
            ("joint.steps: [100, many]", "setting joint.steps"),
            ("joint.steps: [1.5]", "setting joint.steps"),
            ("joint.steps: []", "expected a list of values, or"),
            ("joint.steps: 100", "expected a list of values, or"),
            ("joint.steps: {from: 1}", "expected a list of values, or"),
            ("joint.steps: {from: 1, to: 9, step: 2}", "expected a list of values, or"),
            ("joint.steps: {from: 9, to: 1}", "expected from < to"),
            ("joint.steps: {from: 0, to: 9, scale: log}", "for log from > 0"),
            ("joint.steps: {from: 1, to: 9, scale: cubic}", "scale linear or log"),
            ("joint.steps: {from: 1, to: 2.5}", "setting joint.steps"),
            ("mixture.real: {from: 0.5, to: 2}", "expected a share from 0 to 1"),
            ("procedure.rectify: {from: false, to: true}", "is no number"),
            ("architecture.widths: {from: [8, 8, 8, 8, 8], to: [16, 16, 16, 16, 16]}", "is no number"),
            ("joint.steps: [2026-11-29]", "expected numbers, texts"),
            ("seed: [1, 2]", "a drawn split changes"),
            ("joint.steps: [1, 2", "expected YAML"),
            ("a: !!python/object:os.system {}", "expected YAML"),
            ("\x00", "expected YAML"),
        ],
    )
    def test_what_cannot_be_tried_is_named(self, tmp_path, text, message):
        with pytest.raises(UserError, match=message) as caught:
            self.read(tmp_path, text)
        assert "settings.yaml: " in str(caught.value) and "\n" not in str(caught.value)

    def test_a_file_that_is_none(self, tmp_path):
        with pytest.raises(UserError, match=r"missing\.yaml: cannot be read"):
            read_space(tmp_path / "missing.yaml", STANDARD)


class TestSweep:
    def test_all_combinations_are_tried_once(self, sweep, tmp_path, capsys):
        one = sweep()
        one.run(6, workers=2, threads=3)
        assert values(one) == [float(rate) for rate in RATES]
        assert one.best().params == {"joint.learning_rate": "0.6"}
        for call in sweep.calls:
            assert call[:2] == ["--data", "cars"] and call[-2:] == ["--threads", "3"]
        assert [line.split(" | ")[1] for line in one.table().splitlines()[2:]] == [f"{r}000" for r in RATES[::-1]]
        assert "trial 0: joint.learning_rate=0.1" in capsys.readouterr().out
        sweep().run(6, workers=2, threads=3)
        assert len(sweep.calls) == 6
        assert (tmp_path / "sweep" / "trial-0005" / "figures.json").exists()

    def test_of_a_loss_less_is_better(self, sweep):
        one = sweep(listed("0.1"), figure="log_loss")
        one.run(1, 1, 1)
        assert one.best().value == 1.0 and not one._more_is_better
        assert sweep(listed("0.1"), output="other")._more_is_better

    def test_one_of_six_on_two_workers_is_killed(self, sweep, tmp_path, capsys):
        trap(tmp_path, 2)
        with pytest.raises(UserError, match="1 training ended early.*the same command goes on"):
            sweep().run(6, workers=2, threads=1)
        assert "trial 2: the training ended with 137: nearly done" in capsys.readouterr().err
        assert len(values(sweep())) == 5
        again = sweep()
        again.run(6, workers=2, threads=1)
        assert values(again) == [float(rate) for rate in RATES]
        assert len(sweep.calls) == 7
        assert sweep.calls[-1] == ["--resume", str(tmp_path / "sweep" / "trial-0002"), "--threads", "1"]

    def test_a_sweep_that_is_stopped_goes_on(self, sweep, tmp_path):
        trap(tmp_path, 0, 60)
        started = []

        def start(arguments, log):
            if len(started) == 2:
                raise KeyboardInterrupt
            started.append(subprocess.Popen([sys.executable, "-c", TRAINING, *arguments], stdout=log.open("ab")))
            return started[-1]

        with pytest.raises(KeyboardInterrupt):
            sweep(start=start).run(6, workers=3, threads=1)
        assert all(process.poll() is not None for process in started)  # None is left behind.
        one = sweep()
        one.run(6, workers=2, threads=1)
        assert values(one) == [float(rate) for rate in RATES]

    def test_nothing_is_trained_twice(self, sweep):
        one = sweep({"joint.learning_rate": optuna.distributions.IntDistribution(1, 2)})
        one.run(20, workers=1, threads=1)  # So many by chance: that all of them are alike does not happen.
        assert len(values(one)) == 20 and len(sweep.calls) == 2
        assert len(one.table().splitlines()) == 4

    def test_nor_at_the_same_time(self, sweep):
        one = sweep({"joint.learning_rate": optuna.distributions.IntDistribution(1, 2)})
        one.run(20, workers=4, threads=1)
        assert len(values(one)) == 20 and len(sweep.calls) == 2

    def test_trials_of_another_call_are_not_compared(self, sweep):
        sweep().run(1, 1, 1)
        with pytest.raises(UserError, match=r'holds trials with settings .*"0.6".*not .*--output'):
            sweep(listed("0.1"))
        with pytest.raises(UserError, match='holds trials with figure "plates_right", not "mean_iou"'):
            sweep(figure="mean_iou")

    def test_a_figure_that_nothing_tells(self, sweep):
        with pytest.raises(UserError, match="its figures have no mean_iou"):
            sweep(figure="mean_iou").run(1, 1, 1)

    def test_one_sweep_to_a_folder(self, sweep, tmp_path):
        one = sweep()
        with owned(tmp_path / "sweep" / "lock", ""), pytest.raises(UserError, match="another sweep works in this"):
            one.run(6, 1, 1)
        assert not sweep.calls

    def test_a_training_that_is_still_there_is_left_alone(self, sweep, tmp_path, capsys):
        trap(tmp_path, 0)
        with pytest.raises(UserError, match="1 training ended early"):
            sweep().run(2, 1, 1)
        with owned(tmp_path / "sweep" / "trial-0000" / "lock", ""):
            sweep().run(2, 1, 1)
        assert "trial 0: a process of an earlier sweep still trains it" in capsys.readouterr().err
        assert len(sweep.calls) == 2

    def test_machines_share_what_was_tried(self, sweep, tmp_path, monkeypatch):
        storage = f"sqlite:///{tmp_path / 'shared.db'}"
        trap(tmp_path, 1, 60)
        started = []

        def start(arguments, log):
            if len(started) == 2:
                raise KeyboardInterrupt
            started.append(subprocess.Popen([sys.executable, "-c", TRAINING, *arguments], stdout=log.open("ab")))
            while len(started) == 1 and started[0].poll() is None:
                time.sleep(0.1)
            return started[-1]

        with pytest.raises(KeyboardInterrupt):
            sweep(storage=storage, start=start).run(6, 2, 1)
        monkeypatch.setattr("socket.gethostname", lambda: "another")
        other = sweep(storage=storage, output="other")
        other.run(6, workers=2, threads=1)
        # Those left open are the first machine's, which alone has their runs.
        open_there = len(RATES) - len(values(other))
        assert open_there and len([*(tmp_path / "other").glob("trial-????")]) == len(sweep.calls)
        monkeypatch.undo()
        before = len(sweep.calls)
        first = sweep(storage=storage)
        first.run(6, 1, 1)
        assert values(first) == [float(rate) for rate in RATES] and len(sweep.calls) - before == open_there

    @pytest.mark.parametrize("name", ["a%20b", "what?", "a#b", "a b", "\u00fc"])
    def test_the_database_lies_in_the_folder_whatever_that_is_called(self, sweep, tmp_path, name):
        sweep(output=name)
        assert (tmp_path / name / "study.db").stat().st_size and [*tmp_path.iterdir()] == [tmp_path / name]

    def test_a_database_that_is_none(self, sweep, tmp_path):
        (tmp_path / "sweep").mkdir()
        (tmp_path / "sweep" / "study.db").write_bytes(b"no database at all" * 100)
        with pytest.raises(UserError, match=r"study\.db: damaged"):
            sweep()

    @pytest.mark.parametrize("address", ["sqlite:////missing/for/sure.db", "nothing://me:secret@there/x", "secret"])
    def test_a_database_that_cannot_be_reached(self, sweep, address):
        with pytest.raises(UserError, match="--storage: cannot be used") as caught:
            sweep(storage=address)
        assert "secret" not in str(caught.value)


class TestCommand:
    @pytest.fixture
    def call(self, tmp_path, tiny_data, capsys):
        settings = tmp_path / "settings.yaml"
        settings.write_text("joint.learning_rate: [0.001, 0.002]\n", encoding="utf-8")

        def called(*arguments, data=True):
            given = ["--data", str(tiny_data)] if data else []
            code = main(["sweep", str(settings), "--output", str(tmp_path / "sweep"), *given, *arguments])
            return code, capsys.readouterr()

        return called

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--run", "x"], "leave --run out"),
            (["--resume", "x"], "leave --resume out"),
            (["--check"], "leave --check out"),
            (["--threads", "2"], "leave --threads out"),
            (["--figure", "beauty"], "expected one of plates_right, "),
            (["--set", "joint.stepz=1"], "the nearest is joint.steps"),
            (["--weights", "nobody"], "nobody"),
        ],
    )
    def test_calls_that_are_wrong(self, call, tmp_path, arguments, message):
        code, out = call(*arguments)
        assert code == 2 and message in out.err and not (tmp_path / "sweep").exists()

    def test_no_data_or_no_option_of_a_training(self, call, tmp_path):
        assert call(data=False)[0] == 2
        assert call("--data", str(tmp_path / "nowhere"), data=False)[0] == 2
        with pytest.raises(SystemExit) as ended:
            call("--colour", "red")
        assert ended.value.code == 2

    def test_from_settings_to_a_table(self, call, tmp_path):
        """A real training, whose run TensorBoard can compare with others."""
        (tmp_path / "settings.yaml").write_text("recognition.learning_rate: [0.003]\n", encoding="utf-8")
        tiny = {
            "architecture.canvas_size": 192,
            "architecture.glimpse_size": [32, 64],
            "architecture.widths": [8, 8, 16, 16, 16],
            "architecture.head_width": 16,
            "recognition.steps": 2,
            "recognition.plates": 4,
            "joint.steps": 0,
            "epoch_steps": 2,
            "procedure.doubt": 0.0,
            "procedure.closer_part": 0.0,
        }
        sets = [part for name, value in tiny.items() for part in ("--set", f"{name}={json.dumps(value)}")]
        code, out = call("--preset", "small", "--figure", "mean_iou", *sets)
        log = (tmp_path / "sweep" / "trial-0000.log").read_text(errors="replace")
        assert code == 0, (out.err, log[-500:])
        assert re.search(r"^\| 0 \| \S+ \| 0\.003 \| .*trial-0000 \|$", out.out, re.MULTILINE)
        run = tmp_path / "sweep" / "trial-0000"
        assert json.loads((run / "config.json").read_text())["settings"]["recognition"]["learning_rate"] == 0.003
        events = b"".join(path.read_bytes() for path in (run / "tensorboard").rglob("events*"))
        assert b"hparams" in events and b"recognition.learning_rate" in events
