"""The end of an epoch: evaluate, keep the best model, write everything down, stop when due."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras

from lpr_e2e.common.errors import TrainingError
from lpr_e2e.training.board import Board
from lpr_e2e.training.distribution import Replicas
from lpr_e2e.training.evaluators import Evaluation, Validation
from lpr_e2e.training.gallery import Gallery
from lpr_e2e.training.optimizer import averaged_weights
from lpr_e2e.training.run_folder import RunFolder
from lpr_e2e.training.settings import Settings


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        stage: `recognition`, `joint` or `done`.
        epoch: epochs of it that are done.
        best: the best score among them.
        waited: epochs since then.
    """

    stage: str = "recognition"
    epoch: int = 0
    best: float | None = None
    waited: int = 0

    def note(self, score: float | None) -> bool:
        """One more epoch is done, with this score; whether it is the best. Where nothing tells, it is the last one."""
        better = score is None or self.best is None or score > self.best
        self.epoch += 1
        self.best, self.waited = (score, 0) if better else (self.best, self.waited + 1)
        return better


@dataclass(frozen=True)
class Epoch:
    """One epoch that is over.

    Attributes:
        stage: its stage.
        number: within the stage, from 1.
        seconds: how long the training took, without the evaluation.
        steps: how many steps it had.
        learning_rate: at its end.
        logs: the mean losses and figures of its batches.
        evaluation: see `lpr_e2e.training.evaluators`.
        better: whether it is the best of the stage so far.
    """

    stage: str
    number: int
    seconds: float
    steps: int
    learning_rate: float
    logs: Mapping[str, float]
    evaluation: Evaluation
    better: bool


class Record:
    """Writes down what an epoch has brought; the chief's alone.

    Args:
        settings: of the run.
        folder: gets models and history.
        board: gets curves.
        gallery: gets pictures.
        shown: how many of the samples trained on came from each source.
    """

    def __init__(self, settings: Settings, folder: RunFolder, board: Board, gallery: Gallery, shown: Counter[str]):
        self.settings, self.folder, self.board, self.gallery, self.shown = settings, folder, board, gallery, shown

    def write(self, epoch: Epoch, model: keras.Model, validation: Validation) -> None:
        """Write down an epoch, the model with its averaged weights, and what its evaluators have seen."""
        self.folder.save_model(model, "last.keras")
        if epoch.stage == "joint":
            if epoch.better:
                self.folder.save_model(model, "best.keras")
            # Before stage two no plate is found, so there is nothing to show.
            if epoch.number % self.settings.picture_epochs == 0 or epoch.number == 1:
                self.gallery.show_validation(self._point(epoch), model, validation.photographs, self.shown)
        trained = {f"loss/{key}": float(item) for key, item in epoch.logs.items()}
        also = {"learning rate": epoch.learning_rate, "seconds per step": epoch.seconds / epoch.steps}
        self.board.scalars("training", self._point(epoch), {**trained, **epoch.evaluation.training, **also})
        self.board.scalars("validation", self._point(epoch), epoch.evaluation.validation)
        self.folder.add_history(
            {
                "stage": epoch.stage,
                "epoch": epoch.number,
                "seconds": round(epoch.seconds, 1),
                "learning_rate": epoch.learning_rate,
                **{f"training {key}": round(item, 5) for key, item in trained.items()},
                **{f"validation {key}": round(item, 5) for key, item in epoch.evaluation.validation.items()},
            }
        )

    def _point(self, epoch: Epoch) -> int:
        """The epochs of both stages on one axis."""
        before = 0 if epoch.stage == "recognition" else self.settings.recognition.steps // self.settings.epoch_steps
        return before + epoch.number


class EpochEnd(keras.callbacks.Callback):
    """After every epoch: evaluate the averaged weights, keep the best, write everything down, stop when due.

    Args:
        run: the run folder's path, for messages.
        progress: of the run; it is kept up to date.
        patience: epochs without a better score before the stage ends.
        replicas: the model in training, and this process's own.
        own_task: the task on this process's own model.
        validation: the evaluators of the stage.
        record: writes; None in a process that is not the chief.
        save_state: saves everything that a resumption needs.
        say: takes a line for people.
    """

    def __init__(
        self,
        run: Path,
        progress: Progress,
        patience: int,
        replicas: Replicas,
        own_task: keras.Model,
        validation: Validation,
        record: Record | None,
        save_state: Callable[[], None],
        say: Callable[[str], None],
    ):
        super().__init__()
        self.run, self.progress, self.patience = run, progress, patience
        self.replicas, self.own_task = replicas, own_task
        self.validation, self.record, self.save_state, self.say = validation, record, save_state, say

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        seconds, logs = time.monotonic() - self.started, dict(logs or {})
        stage, job, progress = self.progress.stage, self.replicas.job, self.progress
        if not math.isfinite(logs["loss"]):
            raise TrainingError(
                f"{stage}, epoch {epoch + 1}: the loss is {logs['loss']}; lower the learning rate, and resume from the "
                f"epoch before with --resume {self.run}"
            )
        with averaged_weights(self.model), job.alone():
            self.replicas.take_over()
            found = Evaluation(None, {}, {})
            if job.chief:
                found = self.validation.evaluate(self.replicas.own, self.own_task)
            score = job.agree(math.nan if found.score is None else found.score)
            better = progress.note(None if math.isnan(score) else score)
            if self.record:
                rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
                done = Epoch(stage, progress.epoch, seconds, self.params["steps"], rate, logs, found, better)
                self.record.write(done, self.replicas.own, self.validation)
        self.save_state()
        self.say(line_of_epoch(stage, progress.epoch, found.validation, better))
        if progress.waited >= self.patience:
            self.say(f"{stage}: no better for {progress.waited} epochs, stopping early")
            self.model.stop_training = True


def line_of_epoch(stage: str, epoch: int, held: Mapping[str, float], better: bool) -> str:
    """An epoch in a line for people."""
    if not held:
        return f"{stage}, epoch {epoch}: nothing is held out, so nothing is measured; the last epoch is kept"
    parts = [f"{stage}, epoch {epoch}, held out:"]
    for label, key, form in (
        ("glimpses right", "reading/plates_right", ".1%"),
        ("plates right", "end to end/plates_right", ".1%"),
        ("characters right", "end to end/characters_right", ".1%"),
        ("mean IoU", "end to end/mean_iou", ".3f"),
    ):
        if key in held:
            parts.append(f"{label} {held[key]:{form}}")
    return "  ".join(parts) + ("  (best so far)" if better else "")
