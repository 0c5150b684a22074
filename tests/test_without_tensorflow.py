"""Training on JAX in an environment where TensorFlow and keras-cv cannot be imported: killed, resumed, evaluated."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = Path(__file__).resolve().parent.parent
TINY = [
    "architecture.canvas_size=96",
    "architecture.scene_shrink=3",
    "architecture.glimpse_size=[32, 64]",
    "architecture.widths=[8, 8, 8, 8, 8]",
    "architecture.head_width=16",
    "procedure.plates=1",
    "procedure.reading_scales=[1.0]",
    "procedure.doubt=0",
    "recognition.steps=2",
    "recognition.plates=4",
    "joint.steps=2",
    "joint.photographs=2",
    "joint.plates=2",
    "mixture.self_labelled=1",
    "mixture.rearranged=0.5",
    "epoch_steps=1",
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Environment variables with which both packages raise, first on the path.

    Most of the time goes into XLA's compiling: little is optimised, and what one process has compiled the next takes.
    """
    hidden = tmp_path_factory.mktemp("hidden")
    for name in ("tensorflow", "keras_cv"):
        (hidden / name).mkdir()
        (hidden / name / "__init__.py").write_text(f"raise ImportError('no {name} here')\n")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(hidden), str(ROOT)]),
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def train(environment: dict, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-u", str(ROOT / "train.py"), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def epochs(run: Path) -> list[tuple[str, str]]:
    """The rows of the history."""
    if not (run / "history.csv").exists():
        return []
    with (run / "history.csv").open(newline="", encoding="utf-8") as file:
        return [(row["stage"], row["epoch"]) for row in csv.DictReader(file)]


@pytest.fixture
def start(tiny_data):
    """A training's arguments, but for its folder."""
    sets = [part for one in TINY for part in ("--set", one)]
    return ["--data", str(tiny_data), "--preset", "small", *sets, "--run"]


def ended(environment: dict, run: Path, *arguments: str) -> None:
    """A training that runs to its end: both stages and their figures are there."""
    process = train(environment, *arguments)
    said = process.communicate(timeout=400)[0]
    assert process.returncode == 0, said[-3000:]
    assert epochs(run) == [("recognition", "1"), ("recognition", "2"), ("joint", "1"), ("joint", "2")]
    assert json.loads((run / "figures.json").read_text(encoding="utf-8"))["photographs"] > 0
    assert {"best.keras", "own_labels.csv"} <= {path.name for path in run.iterdir()}


def test_it_trains_to_the_end(environment, start, tmp_path):
    importing = [sys.executable, "-c", "import tensorflow"]
    assert b"no tensorflow here" in subprocess.run(importing, env=environment, capture_output=True).stderr
    ended(environment, tmp_path / "run", *start, str(tmp_path / "run"))
    seen = EventAccumulator(str(tmp_path / "run" / "tensorboard" / "validation"), size_guidance={"scalars": 0})
    seen.Reload()
    assert [event.step for event in seen.Scalars("end to end/mean_iou")] == [3, 4]
    assert {"training/photographs", "validation/photographs", "data"} <= set(seen.Tags()["tensors"])


@pytest.mark.thorough
def test_killed_and_resumed_it_ends_as_a_straight_run(environment, start, tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    lost = train(environment, *start, str(killed))
    while not epochs(killed) and lost.poll() is None:
        time.sleep(0.02)
    lost.kill()
    said = lost.communicate(timeout=60)[0]
    assert lost.returncode == -signal.SIGKILL, said[-3000:]
    assert epochs(killed)[0] == ("recognition", "1")
    ended(environment, killed, "--resume", str(killed))
    ended(environment, straight, *start, str(straight))
    with np.load(straight / "state.npz") as one, np.load(killed / "state.npz") as other:
        assert one.files == other.files
        assert not np.array_equal(one["run"], other["run"])  # Each run has a name of its own.
        for name in set(one.files) - {"run", "history.csv"}:  # Bit for bit; an epoch's seconds are in its history.
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_no_module_of_the_training_imports_it(environment):
    """Neither at import nor later: whoever has it would otherwise wait for it, or be refused."""
    code = (
        "import importlib, pkgutil, sys, lpr_e2e.training as package\n"
        "for module in pkgutil.iter_modules(package.__path__, 'lpr_e2e.training.'):\n"
        "    importlib.import_module(module.name)\n"
        "print(sorted({'tensorflow', 'keras_cv'} & set(sys.modules)))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert found.stdout == "[]\n", found.stderr
