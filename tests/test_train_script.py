"""`train.py` as people call it: wrong input gives one clear line, an interruption can be resumed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import train

ROOT = Path(__file__).resolve().parent.parent


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit, match="0"):
        train.main(["--help"])
    shown = capsys.readouterr().out
    assert "--resume" in shown and "--weights" in shown and "tensorboard --logdir" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--resume", "nowhere"], "no run to resume"),
        (["--data", "nowhere", "--set", "joint.step=5"], "joint.steps=8000"),
    ],
)
def test_wrong_input_gives_one_clear_line(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train.main(arguments) == 2
    complaint = capsys.readouterr().err.strip()
    assert words in complaint and "\n" not in complaint


@pytest.mark.parametrize("missing", ["first", "second", "pipe"])
def test_data_that_are_not_there_are_named_before_keras_is_imported(missing, tmp_path):
    """That alone takes up to half a minute on a slow machine."""
    (tmp_path / "there").mkdir()
    os.mkfifo(tmp_path / "pipe")
    data = {"first": ["first"], "second": ["there", "second"], "pipe": ["pipe"]}[missing]
    script = f"import sys, train; code = train.main(['--data', *{data}]); print(code, 'keras' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.endswith("2 False\n"), done.stderr
    assert f"{missing}: no " in done.stderr and "expected" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("option", [["--seed", "3"], ["--pictures", "elsewhere"], ["--text-column", "plate"]])
def test_resume_takes_no_other_settings(option, capsys):
    assert train.main(["--resume", "runs/x", *option]) == 2
    said = capsys.readouterr().err
    assert "--resume takes everything" in said and f"leave out {option[0]}" in said


def test_resume_and_weights_exclude_each_other(capsys):
    with pytest.raises(SystemExit, match="2"):
        train.main(["--resume", "runs/x", "--weights", "model.keras"])
    assert "not allowed with" in capsys.readouterr().err


def test_interrupted_training_says_how_to_go_on(tiny_data, tmp_path, capsys, monkeypatch):
    from lpr_e2e.training.trainer import Training

    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "run", interrupt)
    run = tmp_path / "run"
    assert train.main(["--data", str(tiny_data), "--preset", "small", "--run", str(run)]) == 130
    assert f"--resume {run}" in capsys.readouterr().err
    assert train.main(["--resume", str(run)]) == 130
    assert train.main(["--data", str(tiny_data), "--preset", "small", "--run", str(run)]) == 2
    assert "already holds a run" in capsys.readouterr().err


@pytest.mark.parametrize("noted", [True, False])
def test_a_run_that_is_interrupted_before_it_begins_keeps_the_weights_it_was_given(
    noted, tiny_data, tmp_path, monkeypatch
):
    """It went on from random weights, with the few steps that good ones need."""
    from lpr_e2e.data.dataset import DataSource, load_dataset
    from lpr_e2e.training import trainer
    from lpr_e2e.training.run_folder import RunFolder
    from lpr_e2e.training.settings import PRESETS

    began = []

    class Begun:
        def __init__(self, settings, dataset, folder, weights, job):
            began.append(weights)

        def run(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "Training", Begun)
    folder, dataset, weights = RunFolder(tmp_path / "run"), load_dataset(tiny_data), tmp_path / "mine.keras"
    vocabulary = trainer.training_vocabulary(dataset)
    folder.start(PRESETS["small"], DataSource(tiny_data), dataset, vocabulary, weights if noted else None)
    assert train.main(["--resume", str(folder.path)]) == 130
    folder.save_state([], {"stage": "recognition", "epoch": 0})  # From here on the state has them.
    assert train.main(["--resume", str(folder.path)]) == 130
    assert began == [weights if noted else None, None]


def test_check_reports_and_trains_nothing(tiny_data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train.main(["--data", str(tiny_data), "--check", "--fix", "clean"]) in (0, 1)
    assert "Near twins" in capsys.readouterr().out
    assert (tmp_path / "check.html").exists() and (tmp_path / "clean" / "validation.csv").exists()
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("arguments", [["--check"], ["--data", "x", "--fix", "y"]])
def test_check_needs_data(arguments, capsys):
    assert train.main(arguments) == 2
    assert "--check" in capsys.readouterr().err
