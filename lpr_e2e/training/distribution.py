"""Training on several devices or machines: each trains on its share of every batch, and all keep the same weights.

Keras's own data parallelism on the JAX backend. A step is one computation over all devices: the statistics of batch
normalisation, the clipping of gradients and the losses are those of the whole batch, so two devices train as one would.
On a machine with several GPUs, one process uses as many as can share its batches; nobody has to say so. On several
machines, each process is started by the same command, with Keras's environment:

    KERAS_BACKEND=jax
    KERAS_DISTRIBUTION_JOB_ADDRESSES=host:port      of the first process
    KERAS_DISTRIBUTION_NUM_PROCESSES=2
    KERAS_DISTRIBUTION_PROCESS_ID=0                 1, 2, ... in the others
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np

from lpr_e2e.common.cores import available_cores
from lpr_e2e.common.errors import TrainingError
from lpr_e2e.training.settings import Settings

# A process that is silent for so long is lost, and the others stop.
HEARTBEAT_SECONDS = 30
# What is compiled for a GPU, which takes a minute or two for each stage, is kept here for the next training. In the
# home folder, not beside the data: it is code.
COMPILED_FOLDER = Path("~/.cache/lpr_e2e/compiled")
_COMPILED_VARIABLE = "JAX_COMPILATION_CACHE_DIR"
# Cores that are left to the process that trains, where a GPU computes.
_CORES_BESIDE_A_GPU = 2


class Job:
    """The processes that train together.

    Args:
        process: number of this one; 0 is the chief, which alone evaluates and writes.
        processes: how many there are.

    Attributes:
        parallel: how batches are shared, if they are; else None.
    """

    def __init__(self, process: int = 0, processes: int = 1):
        self.process, self.processes = process, processes
        self.parallel = keras.distribution.DataParallel(auto_shard_dataset=False) if processes > 1 else None

    def use_devices(self, settings: Settings) -> None:
        """Train on as many devices of this machine as can share the batches, if this process is alone on JAX."""
        if self.processes > 1 or keras.backend.backend() != "jax":
            return
        devices = keras.distribution.list_devices()
        stages = (settings.recognition, settings.joint)
        counts = [count for stage in stages if stage.steps for count in (stage.plates, stage.photographs)]
        number = next(some for some in range(len(devices), 0, -1) if not any(count % some for count in counts))
        if number > 1:
            self.parallel = keras.distribution.DataParallel(devices=devices[:number], auto_shard_dataset=False)

    @property
    def shares(self) -> int:
        """The number of devices, of all processes, that share each batch."""
        return self.parallel.num_model_replicas if self.parallel else 1

    @property
    def chief(self) -> bool:
        """Whether this process evaluates and writes."""
        return self.process == 0

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Models that are made and trained in this context are those of all processes."""
        with self._distribution(self.parallel):
            yield

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Models that are made and used in this context are this process's own."""
        with self._distribution(None):
            yield

    @staticmethod
    @contextlib.contextmanager
    def _distribution(distribution) -> Iterator[None]:
        before = keras.distribution.distribution()
        keras.distribution.set_distribution(distribution)
        try:
            yield
        finally:
            keras.distribution.set_distribution(before)

    def agree(self, value: float = 0.0) -> float:
        """The chief's value, in every process; all wait for each other."""
        if self.processes == 1:
            return value
        from jax.experimental import multihost_utils

        return float(multihost_utils.broadcast_one_to_all(np.float64(value)))


class Replicas:
    """The model that all processes train, and this process's own, with which it evaluates, labels and saves.

    Args:
        job: the processes that train together.
        make: makes the model, alike each time but for its weights.

    Attributes:
        own: this process's own model.
        trained: what all processes train; the same model if there is one process.
    """

    def __init__(self, job: Job, make: Callable[[], keras.Model]):
        self.job, self._make = job, make
        self.own = self.trained = make()

    def share(self) -> None:
        """Make the model that all train, with the weights of this process's own."""
        if self.job.parallel is not None:
            with self.job.together():
                self.trained = self._make()
                self.trained.set_weights(self.own.get_weights())

    def take_over(self) -> None:
        """Give this process's own model the weights that all have trained."""
        if self.trained is not self.own:
            self.own.set_weights([np.array(weight) for weight in self.trained.weights])


def has_gpu() -> bool:
    """Whether something else than the processor computes."""
    return not all(name.startswith("cpu") for name in keras.distribution.list_devices())


def workers_beside() -> int | None:
    """The number of processes that make batches while a GPU computes; None without one, where `loader` decides."""
    return max(1, available_cores() - _CORES_BESIDE_A_GPU) if has_gpu() else None


def keep_compiled() -> None:
    """Keep what JAX compiles for a GPU, unless the environment says where or that it is not to be kept."""
    if keras.backend.backend() == "jax" and _COMPILED_VARIABLE not in os.environ and has_gpu():
        import jax

        jax.config.update("jax_compilation_cache_dir", str(COMPILED_FOLDER.expanduser()))


def join() -> Job:
    """Join the processes that the environment names; alone if it names none.

    Raises:
        TrainingError: the environment is incomplete, Keras runs on another backend than JAX, or the others cannot be
            reached.
    """
    values = {
        name: os.environ.get(f"KERAS_DISTRIBUTION_{name}") for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")
    }
    if not any(values.values()):
        return Job()
    try:
        process, processes = int(values["PROCESS_ID"] or ""), int(values["NUM_PROCESSES"] or "")
        if not values["JOB_ADDRESSES"] or not 0 <= process < processes:
            raise ValueError
    except ValueError:
        found = ", ".join(f"KERAS_DISTRIBUTION_{name}={value or ''}" for name, value in values.items())
        raise TrainingError(f"several processes: expected address, number and an id below it; found {found}") from None
    if keras.backend.backend() != "jax":
        raise TrainingError(f"several processes: need KERAS_BACKEND=jax; found {keras.backend.backend()}")
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    address = values["JOB_ADDRESSES"].split(",")[0]
    try:
        jax.distributed.initialize(
            address, processes, process, initialization_timeout=120, heartbeat_timeout_seconds=HEARTBEAT_SECONDS
        )
    except RuntimeError as error:
        raise TrainingError(f"several processes: cannot reach {address}: {error}") from error
    return Job(process, processes)
