"""Killed at random moments, training and prediction lose nothing that was done, and leave no damaged file.

    KILLS=200 python -m pytest -n 0 tests/test_kills.py

is the long form: a fifth of the kills hit trainings, the others predictions; without it there are four, of predictions.
`KILLS_SEED` gives other moments.
"""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpr_e2e.drawing.scenes import write_demo
from lpr_e2e.model.plate_model import load
from lpr_e2e.prediction.models import shipped

ROOT = Path(__file__).resolve().parent.parent
KILLS = int(os.environ.get("KILLS", "4"))
RANDOM = random.Random(int(os.environ.get("KILLS_SEED", "0")))
TINY = [
    'architecture.canvas_size=96', 'architecture.scene_shrink=1', 'architecture.glimpse_size=[32, 64]',
    'architecture.widths=[8, 8, 8, 8, 8]', 'architecture.depths=[1, 1, 1, 1]', 'architecture.head_width=16',
    'procedure.plates=1', 'procedure.second_look=0', 'procedure.reading_scales=[1.0]', 'procedure.doubt=0',
    'recognition.steps=2', 'recognition.plates=4', 'joint.steps=2', 'joint.plates=2', 'joint.photographs=2',
    'mixture.self_labelled=1', 'mixture.rearranged=0.5', 'epoch_steps=1',
]  # fmt: skip


# `train.py`, whose steps are computed as they come: to make graphs of them takes far longer than so few steps.
TRAIN = (
    "import sys, tensorflow as tf, train\ntf.config.run_functions_eagerly(True)\nsys.exit(train.main(sys.argv[1:]))\n"
)


class Killer:
    """Starts a command and kills it at a random moment after a line of its output, again and again.

    Args:
        kills: how often it may kill.
    """

    def __init__(self, kills: int):
        self.left = kills

    def run(self, command: list[str], after: str, longest: float) -> bool:
        """Whether the process came to its end; else it was killed within `longest` seconds of the line `after`."""
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        said = []
        for line in process.stdout:
            said.append(line)
            if self.left and after in line:
                try:
                    process.wait(RANDOM.uniform(0, longest))
                except subprocess.TimeoutExpired:
                    process.kill()
                    break
        rest = process.stdout.read()
        if process.wait() == -signal.SIGKILL:
            self.left -= 1
            return False
        assert process.returncode == 0, "".join(said) + rest
        return True


def whole(folder: Path) -> None:
    """Every file of a run folder that is not being written can be read to its end."""
    for path in folder.iterdir():
        if path.name.startswith("part.") or ".part." in path.name:
            continue
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.reader(file, strict=True))
            assert len({len(row) for row in rows}) == 1, path
        elif path.suffix == ".npz":
            with np.load(path) as state:
                assert all(state[name] is not None for name in state.files)
        elif path.suffix == ".keras":
            assert zipfile.ZipFile(path).testzip() is None
            load(path)


@pytest.mark.skipif(KILLS < 5, reason="takes a minute for each kill: KILLS=5 kills one training")
def test_trainings_killed_at_any_moment_can_be_resumed(tmp_path):
    write_demo(tmp_path / "data", photographs=10, crops=10, test=1, validation=3, seed=3)
    killer, runs = Killer(KILLS // 5), 0
    sets = [part for value in TINY for part in ("--set", value)]
    while killer.left:
        run = tmp_path / f"run{runs}"
        runs += 1
        start = ["-u", "-c", TRAIN, "--data", str(tmp_path / "data"), "--preset", "small", "--run", str(run), *sets]
        command, epochs = start, 0
        while not killer.run(command, "data: ", 20):
            whole(run) if run.exists() else None
            # What is no run yet is started again, what is one is resumed.
            command = ["-u", "-c", TRAIN, "--resume", str(run)] if (run / "config.json").exists() else start
            done = (run / "history.csv").read_text().count("\n") if (run / "history.csv").exists() else 0
            assert done >= epochs
            epochs = done
        whole(run)
        with (run / "history.csv").open(newline="") as file:
            seen = [(row["stage"], row["epoch"]) for row in csv.DictReader(file)]
        assert seen == [(stage, str(epoch)) for stage in ("recognition", "joint") for epoch in (1, 2)]
        assert (run / "figures.json").exists() and (run / "best.keras").exists()
        if runs > 1:  # Wherever they were killed, all runs end with the same weights.
            first, last = (np.load(tmp_path / name / "state.npz") for name in ("run0", run.name))
            for name in first.files:
                if name != "progress":
                    np.testing.assert_allclose(last[name], first[name], atol=2e-4, rtol=1e-3, err_msg=name)


@pytest.mark.skipif("ONNX Runtime" not in shipped()["tunisia"].forms, reason="saved_models/tunisia is not there")
def test_predictions_killed_at_any_moment_have_whole_rows(tmp_path):
    photographs = tmp_path / "photographs"
    write_demo(tmp_path / "drawn", photographs=12, crops=1, test=12, validation=0, seed=4)
    photographs.mkdir()
    for number, path in enumerate(sorted((tmp_path / "drawn/test").iterdir()) * 3):
        (photographs / f"{number:02}{path.suffix}").write_bytes(path.read_bytes())
    (photographs / "50.jpg").write_bytes(b"nothing")

    def rows(output: Path) -> list[list[str]]:
        if not (output / "predictions.csv").exists():
            return []
        with (output / "predictions.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.reader(file, strict=True))

    command = ["predict.py", str(photographs), "--jsonl", "--batch-size", "4", "--output"]
    started = time.monotonic()
    assert Killer(0).run([*command, str(tmp_path / "whole")], "", 0)
    longest, expected = time.monotonic() - started, rows(tmp_path / "whole")
    killer, output = Killer(KILLS - KILLS // 5), tmp_path / "killed"
    says = ["-c", "import sys, predict; print('starts', flush=True); sys.exit(predict.main(sys.argv[1:]))"]
    while killer.left:
        if killer.run([*says, *command[1:], str(output)], "starts", longest):
            assert rows(output) == expected
            continue
        found = rows(output)
        assert found == expected[: len(found)]
        lines = (output / "predictions.jsonl").read_text().splitlines() if found else []
        # Both files get a photograph's rows one after the other.
        assert [json.loads(line)["img_id"] for line in lines][: len(found) - 2] == [row[0] for row in found[1:-1]]
        for path in (output / "pictures").glob("*.jpg"):
            if not path.name.startswith("."):
                Image.open(path).load()
    assert Killer(0).run([*command, str(output)], "", 0)
    assert rows(output) == expected
