"""Batches made ahead by worker processes, for any backend of Keras, on any system.

The workers are started anew (`spawn`), so that nothing of a running backend is copied into them, and import neither
Keras nor TensorFlow. Each makes its part of every batch, in memory that all share: so one worker gets the same plate to
draw again in a later batch, which it then need not draw. What comes out does not depend on their number.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

import cv2
import numpy as np

from lpr_e2e.common.cores import available_cores
from lpr_e2e.common.errors import TrainingError
from lpr_e2e.common.processes import started_alone
from lpr_e2e.training.batches import share
from lpr_e2e.training.recipe import BatchPlan, BatchRecipe

# Batches that may lie ready, or be made, at a time.
SLOTS = 4
# Every array of a batch begins at a multiple of so many bytes.
_ALIGNMENT = 64


def worker_count() -> int:
    """Half of the cores, at least one process: the model needs the others, for a step takes longer than its batch."""
    return max(1, available_cores() // 2)


@dataclass(frozen=True)
class Layout:
    """Where the arrays of a batch lie in a slot.

    Attributes:
        arrays: of each its type, shape and first byte, by name.
        size: of the slot, bytes.
    """

    arrays: Mapping[str, tuple[str, tuple[int, ...], int]]
    size: int

    @classmethod
    def of(cls, batch: Mapping[str, np.ndarray]) -> Layout:
        """The layout of batches like this one."""
        arrays, size = {}, 0
        for name, values in batch.items():
            arrays[name] = (values.dtype.str, values.shape, size)
            size += -(-values.nbytes // _ALIGNMENT) * _ALIGNMENT
        return cls(arrays, size)

    def views(self, slot) -> dict[str, np.ndarray]:
        """The arrays that lie in a slot, to read and to write."""
        return {
            name: np.ndarray(shape, kind, buffer=memoryview(slot), offset=start)
            for name, (kind, shape, start) in self.arrays.items()
        }


class BatchLoader:
    """The batches of consecutive steps. Use it in a `with` statement: at its end the workers are gone.

    Args:
        recipe, plan: which batches.
        example: any batch of the plan.
        first_step, last_step: from this step on, and before that one.
        workers: processes that make batches; None: as many as `worker_count` says.
        shown: it is added how many of the plates and photographs in the batches came from each source.

    Attributes:
        failure: what a worker raised, or that it died. A backend that asks for batches in a thread of its own may
            pass on something else.
    """

    def __init__(
        self,
        recipe: BatchRecipe,
        plan: BatchPlan,
        example: Mapping[str, np.ndarray],
        first_step: int,
        last_step: int,
        workers: int | None = None,
        shown: Counter[str] | None = None,
    ):
        workers = workers or worker_count()
        self.shown = Counter() if shown is None else shown
        self.failure: Exception | None = None
        self._steps, self._closed = range(first_step, last_step), False
        context = multiprocessing.get_context("spawn")
        layout = Layout.of(example)
        slots = [context.RawArray("b", layout.size) for _ in range(SLOTS)]
        self._views = [layout.views(slot) for slot in slots]
        self._pipes: list[Connection] = []
        self._processes = []
        try:
            for worker in range(workers):
                ours, its = context.Pipe()
                work = (its, recipe, plan, layout, slots, worker, workers)
                process = context.Process(target=_work, args=work, name=f"batches {worker}", daemon=True)
                with its, started_alone():
                    process.start()  # It alone has the other end from here on: where it dies, ours ends.
                self._pipes.append(ours)
                self._processes.append(process)
        except BaseException:
            self.close()
            raise
        for step in self._steps[:SLOTS]:
            self._ask_for(step)

    def __enter__(self) -> BatchLoader:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def batches(self) -> Iterator[tuple[dict[str, np.ndarray]]]:
        """Each batch in its turn, alone in a tuple as Keras's `fit` wants it; the arrays are the caller's own.

        Raises:
            PictureError: a picture is gone or damaged; or whatever else went wrong in a worker.
            TrainingError: a worker died.
        """
        for step in self._steps:
            for pipe, process in zip(self._pipes, self._processes, strict=True):
                answer = self._answer(pipe, process)
                if answer is None:
                    return
                self.shown.update(answer)
            # A backend may go on using the memory that it is given.
            batch = {name: values.copy() for name, values in self._views[self._slot(step)].items()}
            if step + SLOTS < self._steps.stop:
                self._ask_for(step + SLOTS)
            yield (batch,)

    def close(self) -> None:
        """End the workers. What still waits for a batch in another thread gets none."""
        self._closed = True
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()

    def _slot(self, step: int) -> int:
        return (step - self._steps.start) % SLOTS

    def _ask_for(self, step: int) -> None:
        for pipe in self._pipes:
            with contextlib.suppress(OSError):  # A dead worker is noticed when its answer is waited for.
                pipe.send((step, self._slot(step)))

    def _answer(self, pipe: Connection, process) -> Mapping[str, int] | None:
        """What a worker says: where its part of the next batch came from. None: the loader is closed."""
        try:
            answer = pipe.recv()
        except (EOFError, OSError):
            if self._closed:
                return None
            process.join()
            self.failure = TrainingError(
                f"a process that makes batches ended with exit code {process.exitcode}: it was killed, or could not "
                "start; free some memory, look at what it said above, and go on with --resume"
            )
            raise self.failure from None
        if isinstance(answer, Exception):
            self.failure = answer
            raise answer
        return answer


def _work(
    pipe: Connection,
    recipe: BatchRecipe,
    plan: BatchPlan,
    layout: Layout,
    slots: list,
    worker: int,
    workers: int,
) -> None:
    """The life of a worker: make its part of each batch that is asked for, until nobody is there to ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of a terminal; the trainer decides.
    cv2.setNumThreads(1)  # Many small pictures in parallel processes: OpenCV's own threads would only get in the way.
    views = [layout.views(slot) for slot in slots]
    try:
        maker = recipe.maker(worker, workers)
        while True:
            try:
                step, slot = pipe.recv()
            except (EOFError, OSError):
                return
            for name, values in plan.batch(maker, step).items():
                places = share(range(len(views[slot][name])), worker, workers)
                views[slot][name][places.start : places.stop] = values
            answer = dict(maker.shown)
            maker.shown.clear()
            if not _said(pipe, answer):
                return
    except Exception as error:
        error.add_note(f"In a process that makes batches:\n{traceback.format_exc()}")
        _said(pipe, error)


def _said(pipe: Connection, answer) -> bool:
    """Whether somebody is there to be told."""
    try:
        pipe.send(answer)
    except OSError:
        return False
    return True
