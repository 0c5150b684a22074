"""`train.py` as people call it: wrong input gives one clear line, an interruption can be resumed."""

from __future__ import annotations

import pytest

import train


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
