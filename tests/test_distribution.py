"""Several processes that train together end as one does; alone, nothing is asked of anybody."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lpr_e2e.common.errors import TrainingError
from lpr_e2e.data.dataset import load_dataset
from lpr_e2e.training import distribution
from lpr_e2e.training.distribution import join
from lpr_e2e.training.run_folder import RunFolder
from lpr_e2e.training.trainer import Training

TRAIN = Path(__file__).parent.parent / "train.py"
TINY = (
    "architecture.canvas_size=96",
    "architecture.scene_shrink=3",
    "architecture.glimpse_size=[32, 64]",
    "architecture.widths=[8, 8, 16, 16, 16]",
    "architecture.head_width=16",
    "procedure.plates=1",
    "procedure.reading_scales=[1.0]",
    "recognition.steps=2",
    "recognition.plates=4",
    "joint.steps=2",
    "joint.photographs=4",
    "joint.plates=4",
    "epoch_steps=2",
)
PREFIX = "KERAS_DISTRIBUTION_"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start(data: Path, run: Path, process: int | None = None, port: int = 0, *others: str) -> subprocess.Popen:
    """One process of two, or one alone."""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONUNBUFFERED": "1"}
    if process is not None:
        environment |= {
            f"{PREFIX}JOB_ADDRESSES": f"127.0.0.1:{port}",
            f"{PREFIX}NUM_PROCESSES": "2",
            f"{PREFIX}PROCESS_ID": str(process),
        }
    settings = [part for one in TINY for part in ("--set", one)]
    call = others or ("--data", str(data), "--preset", "small", "--run", str(run), *settings)
    return subprocess.Popen(
        [sys.executable, str(TRAIN), *call],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def state(run: Path) -> list[np.ndarray]:
    with np.load(run / "state.npz") as saved:
        return [
            saved[f"variable_{index}"] for index in range(sum(name.startswith("variable_") for name in saved.files))
        ]


def assert_alike(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    """Both are the same up to rounding."""
    apart = [np.abs(two - one) for one, two in zip(first, second, strict=True)]
    # AdamW divides by the gradient's size: single values with next to none differ by more than rounding.
    assert np.quantile(np.concatenate([one.ravel() for one in apart]), 0.999) < 2e-5
    assert max(one.mean() for one in apart) < 2e-6
    assert max(one.max() for one in apart) < 3e-4


@pytest.mark.skipif("TWO_PROCESSES" not in os.environ, reason="takes five minutes on two cores: set TWO_PROCESSES=1")
class TestTwoProcesses:
    def test_they_end_as_one_even_if_one_was_lost(self, tiny_data, tmp_path):
        """The second process is killed after the first epoch; the first one notices, and both go on when resumed."""
        alone = start(tiny_data, tmp_path / "one")
        run, port = tmp_path / "two", free_port()
        chief, other = (start(tiny_data, run, process, port) for process in (0, 1))
        while not (run / "history.csv").exists() and chief.poll() is None:
            time.sleep(0.05)
        other.send_signal(signal.SIGKILL)
        lost = time.monotonic()
        said, _ = chief.communicate(timeout=120)
        assert chief.returncode != 0, said[-2000:]
        assert time.monotonic() - lost < 60
        assert alone.wait(timeout=300) == 0, alone.stdout.read()[-2000:]
        port = free_port()
        both = [start(tiny_data, run, process, port, "--resume", str(run)) for process in (0, 1)]
        for process in both:
            said, _ = process.communicate(timeout=300)
            assert process.returncode == 0, said[-2000:]
        assert_alike(state(tmp_path / "one"), state(run))


@pytest.mark.skipif("TWO_PROCESSES" not in os.environ, reason="takes minutes on two cores: set TWO_PROCESSES=1")
def test_two_devices_of_one_process_end_as_one_does(tiny_data, tmp_path, monkeypatch):
    runs = {}
    for count in (1, 2):
        monkeypatch.setenv("XLA_FLAGS", f"--xla_force_host_platform_device_count={count}")
        process = start(tiny_data, tmp_path / str(count))
        said, _ = process.communicate(timeout=600)
        assert process.returncode == 0, said[-2000:]
        assert ("trained on 2 devices" in said) == (count == 2)
        runs[count] = state(tmp_path / str(count))
    assert_alike(runs[1], runs[2])


class TestJoin:
    def test_without_an_environment_nobody_is_waited_for(self, monkeypatch):
        for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID"):
            monkeypatch.delenv(PREFIX + name, raising=False)
        job = join()
        assert job.chief and job.processes == 1 and job.agree(0.25) == 0.25
        with job.together(), job.alone():
            assert distribution.keras.distribution.distribution() is None

    @pytest.mark.parametrize("values", [("", "2", "0"), ("a:1", "2", "2"), ("a:1", "two", "0"), ("a:1", "2", "")])
    def test_half_an_environment_is_refused(self, monkeypatch, values):
        for name, value in zip(("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID"), values, strict=True):
            monkeypatch.setenv(PREFIX + name, value)
        with pytest.raises(TrainingError, match="expected address, number and an id below it.*NUM_PROCESSES=t?w?o?2?"):
            join()

    def test_another_backend_is_refused(self, monkeypatch):
        for name, value in (("JOB_ADDRESSES", "a:1"), ("NUM_PROCESSES", "2"), ("PROCESS_ID", "0")):
            monkeypatch.setenv(PREFIX + name, value)
        monkeypatch.setattr(distribution.keras.backend, "backend", lambda: "tensorflow")
        with pytest.raises(TrainingError, match="KERAS_BACKEND=jax; found tensorflow"):
            join()

    def test_a_batch_that_cannot_be_shared_is_refused(self, tiny_data, tiny_settings, tmp_path):
        dataset = load_dataset(tiny_data)
        training = Training(tiny_settings, dataset, RunFolder(tmp_path), say=lambda line: None)
        training.job = SimpleNamespace(shares=3)
        with pytest.raises(TrainingError, match="recognition: 8 per step cannot be shared by 3 devices"):
            training._run_stage()


class TestDevices:
    @pytest.fixture
    def used(self, monkeypatch, tiny_settings):
        """How many of some GPUs are used for tiny settings with so many photographs per step."""

        def count(gpus, photographs, processes=1, backend="jax"):
            parallel = []
            monkeypatch.setattr(distribution.keras.backend, "backend", lambda: backend)
            monkeypatch.setattr(
                distribution.keras.distribution, "list_devices", lambda: [f"gpu:{n}" for n in range(gpus)]
            )
            monkeypatch.setattr(
                distribution.keras.distribution,
                "DataParallel",
                lambda devices=(), **_: parallel.append(devices) or SimpleNamespace(num_model_replicas=len(devices)),
            )
            job = distribution.Job(0, processes)
            parallel.clear()
            job.use_devices(replace(tiny_settings, joint=replace(tiny_settings.joint, photographs=photographs)))
            return job.shares if parallel else None

        return count

    def test_as_many_as_can_share_every_batch(self, used):
        # Eight plates in stage one, four in stage two.
        assert used(4, 8) == 4 and used(8, 8) == 4 and used(3, 4) == 2 and used(2, 4) == 2
        assert used(8, 6) == 2 and used(4, 3) is None and used(1, 8) is None

    def test_without_jax_or_beside_others_nothing_changes(self, used):
        assert used(4, 8, backend="tensorflow") is None and used(4, 8, processes=2) is None

    @pytest.mark.parametrize(("devices", "found"), [(["cpu:0"], False), (["gpu:0", "gpu:1"], True), (["tpu:0"], True)])
    def test_a_gpu_gets_more_processes_that_make_batches(self, monkeypatch, devices, found):
        monkeypatch.setattr(distribution.keras.distribution, "list_devices", lambda: devices)
        monkeypatch.setattr(distribution, "available_cores", lambda: 16)
        assert distribution.has_gpu() is found
        assert distribution.workers_beside() == (14 if found else None)

    def test_what_is_compiled_for_a_gpu_is_kept_unless_somebody_has_said_otherwise(self, monkeypatch):
        jax = pytest.importorskip("jax")
        told = {}
        monkeypatch.setattr(jax.config, "update", told.__setitem__)
        monkeypatch.setattr(distribution.keras.backend, "backend", lambda: "jax")
        monkeypatch.setattr(distribution.keras.distribution, "list_devices", lambda: ["cpu:0"])
        monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
        distribution.keep_compiled()
        assert not told
        monkeypatch.setattr(distribution.keras.distribution, "list_devices", lambda: ["gpu:0"])
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
        distribution.keep_compiled()
        assert not told
        monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
        distribution.keep_compiled()
        assert told == {"jax_compilation_cache_dir": str(Path.home() / ".cache/lpr_e2e/compiled")}
