"""Batches from worker processes: the same whatever their number, and nothing hangs or stays behind when one is lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from lpr_e2e.common.errors import TrainingError
from lpr_e2e.common.images import PictureError
from lpr_e2e.data.dataset import load_dataset
from lpr_e2e.training.loader import SLOTS, BatchLoader
from lpr_e2e.training.recipe import BatchPlan, BatchRecipe

# A script as people write one: it has no `if __name__ == "__main__"`, and imports what a worker must not import.
SCRIPT = """
import signal
import sys
import keras
from lpr_e2e.data.dataset import load_dataset
from lpr_e2e.training.loader import BatchLoader
from lpr_e2e.training.recipe import BatchPlan, BatchRecipe
from lpr_e2e.training.settings import PRESETS
from lpr_e2e.training.trainer import training_vocabulary

signal.signal(signal.SIGINT, signal.default_int_handler)  # Ignored where the tests run in the background.
settings, dataset = PRESETS["small"], load_dataset(sys.argv[1])
sizes = (training_vocabulary(dataset), settings.architecture, settings.procedure)
recipe = BatchRecipe(dataset, *sizes, settings.mixture, 0)
plan = BatchPlan("recognition", 10**9, 4, 0, 0.0, 0.0)
try:
    with BatchLoader(recipe, plan, plan.batch(recipe.maker(), 0), 0, 10**9, workers=2) as loader:
        for (batch,) in loader.batches():
            print("a batch of", len(batch["glimpses"]), flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
FORBIDDEN = ("keras", "tensorflow", "jax", "torch")


class Watched(BatchPlan):
    """A plan that fails in a worker which has loaded what it should not."""

    def batch(self, maker, step):
        batch = super().batch(maker, step)
        loaded = sorted(set(FORBIDDEN) & set(sys.modules))
        if multiprocessing.parent_process() is not None and loaded:
            raise RuntimeError(f"a worker has loaded {loaded}")
        return batch


class Faulty(BatchPlan):
    """A plan with a mistake in its code."""

    def batch(self, maker, step):
        return {"glimpses": 1 / (5 - step)}


@pytest.fixture(scope="module")
def dataset(tiny_data):
    return load_dataset(tiny_data)


@pytest.fixture(scope="module")
def recipe(dataset, tiny_settings):
    from lpr_e2e.training.trainer import training_vocabulary

    return BatchRecipe(
        dataset,
        training_vocabulary(dataset),
        tiny_settings.architecture,
        tiny_settings.procedure,
        tiny_settings.mixture,
        0,
    )


def loaded(recipe, plan, first, last, **options) -> BatchLoader:
    return BatchLoader(recipe, plan, plan.batch(recipe.maker(), 0), first, last, **options)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("stage", ["recognition", "joint"])
def test_any_number_of_workers_makes_the_same_batches(recipe, stage, workers):
    # Two photographs in a batch: the third worker has none.
    plan = Watched(stage, steps=20, plates=5, photographs=2, predicted_from=0.0, predicted_to=0.7)
    first, last, shown = 2, 2 * SLOTS + 4, Counter()
    with loaded(recipe, plan, first, last, workers=workers, shown=shown) as loader:
        made = [batch for (batch,) in loader.batches()]  # All are kept: none is overwritten by a later one.
    maker = recipe.maker()
    expected = [plan.batch(maker, step) for step in range(first, last)]
    assert len(made) == len(expected)
    for one, other in zip(made, expected, strict=True):
        assert sorted(one) == sorted(other)
        for name, values in other.items():
            assert one[name].dtype == values.dtype and one[name].tobytes() == values.tobytes(), name
    assert shown == maker.shown


def test_processes_that_train_together_share_a_batch_among_their_workers(recipe):
    plan = BatchPlan("recognition", 20, 6, 0, 0.0, 0.0)
    parts = []
    for process in (0, 1):
        with loaded(replace(recipe, parts=((process, 2),)), plan, 3, 4, workers=2) as loader:
            parts += [batch for (batch,) in loader.batches()]
    whole = plan.batch(recipe.maker(), 3)
    for name, values in whole.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), values)


def test_a_picture_that_is_gone_is_named(recipe, dataset, tmp_path):
    gone = [replace(one, path=tmp_path / "gone.jpg") for one in dataset.photographs]
    plan = BatchPlan("joint", 20, 2, 2, 0.0, 0.0)
    example = plan.batch(recipe.maker(), 0)
    lost = replace(recipe, dataset=replace(dataset, photographs=gone))
    with BatchLoader(lost, plan, example, 0, 20, workers=2) as loader:
        with pytest.raises(PictureError, match=r"gone\.jpg: missing file") as raised:
            list(loader.batches())
        assert loader.failure is raised.value


def test_a_mistake_in_the_code_says_where(recipe):
    plan = Faulty("recognition", 20, 4, 0, 0.0, 0.0)
    with BatchLoader(recipe, plan, {"glimpses": np.zeros(4)}, 0, 20, workers=1) as loader:
        batches = loader.batches()
        assert all(next(batches) for _ in range(5))
        with pytest.raises(ZeroDivisionError) as raised:
            next(batches)
    assert "1 / (5 - step)" in "".join(raised.value.__notes__)


@pytest.mark.parametrize("killed", [0, 1])
def test_a_worker_that_is_killed_ends_the_training_with_a_word(recipe, killed):
    plan = BatchPlan("recognition", 10**6, 4, 0, 0.0, 0.0)
    with loaded(recipe, plan, 0, 10**6, workers=2) as loader:
        batches = loader.batches()
        next(batches)
        os.kill(loader._processes[killed].pid, signal.SIGKILL)
        with pytest.raises(TrainingError, match="exit code -9.*--resume"):
            for _ in batches:
                pass
        assert isinstance(loader.failure, TrainingError)


def test_who_waits_for_a_batch_is_not_left_waiting_at_the_end(recipe):
    """TensorFlow asks for batches in a thread of its own, ahead of the training that may have ended."""
    plan = BatchPlan("recognition", 10**6, 4, 0, 0.0, 0.0)
    loader = loaded(recipe, plan, 0, 10**6, workers=1)
    with loader:
        thread = threading.Thread(target=lambda: list(loader.batches()))
        thread.start()
    thread.join(30)
    assert not thread.is_alive() and loader.failure is None
    assert not any(process.is_alive() for process in loader._processes)


class TestScript:
    @pytest.fixture()
    def script(self, tmp_path, tiny_data):
        """The script, when it has its first batch."""
        path = tmp_path / "script.py"
        path.write_text(SCRIPT)
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        process = subprocess.Popen(
            [sys.executable, str(path), str(tiny_data)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": root},
            start_new_session=True,
        )
        line = process.stdout.readline()
        assert line == "a batch of 4\n", process.communicate()[1]
        yield process
        process.kill()
        process.wait()

    def test_ctrl_c_reaches_the_trainer_alone(self, script):
        """A terminal sends it to all processes; the workers say nothing."""
        os.killpg(script.pid, signal.SIGINT)
        said, complaints = script.communicate(timeout=60)
        assert said.endswith("interrupted\n") and script.returncode == 0
        assert "Traceback" not in complaints

    def test_no_worker_outlives_a_trainer_that_is_killed(self, script):
        script.kill()
        script.communicate(timeout=60)  # Ends when nobody holds the other end any more, not even a worker.
        assert script.returncode == -signal.SIGKILL
