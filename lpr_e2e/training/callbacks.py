"""What happens around the optimiser: the learning rate, the averaged weights, and the end of every epoch."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING

import keras
import numpy as np

from lpr_e2e.common.errors import TrainingError

if TYPE_CHECKING:
    from lpr_e2e.training.trainer import Training


class Supervisor(keras.callbacks.Callback):
    """After every epoch: evaluate the averaged weights, keep the best, write everything down, stop when due."""

    def __init__(self, training: Training, name: str, own_task: keras.Model, variables: list):
        super().__init__()
        self.training, self.name, self.own_task, self.variables = training, name, own_task, variables

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        training, task, progress = self.training, self.model, self.training.progress
        logs = dict(logs or {})
        if not math.isfinite(logs["loss"]):
            raise TrainingError(
                f"{self.name}, epoch {epoch + 1}: the loss is {logs['loss']}; lower the learning rate, and resume from "
                f"the epoch before with --resume {training.folder.path}"
            )
        seconds = time.monotonic() - self.started
        with averaged_weights(task), training.job.alone():
            training.take_over()
            value, held, seen = 0.0, {}, {}
            if training.job.chief:
                value, held, seen = training.evaluate(self.name, self.own_task)
            value = training.job.agree(value)
            better = progress["best"] is None or value > progress["best"]
            progress.update(
                epoch=epoch + 1,
                best=value if better else progress["best"],
                waited=0 if better else progress["waited"] + 1,
            )
            if training.job.chief:
                training.folder.save_model(training.model, "last.keras")
                if better and self.name == "joint":
                    training.folder.save_model(training.model, "best.keras")
                # Before stage two no plate is found, so there is nothing to show.
                if self.name == "joint" and ((epoch + 1) % training.settings.picture_epochs == 0 or epoch == 0):
                    training.show_validation(self._board_epoch(epoch))
                self._write(epoch, logs, seconds, held, seen)
        training.save_state(self.variables)
        training.say(self._line(epoch, held, better))
        if training.patience_is_over():
            training.say(f"{self.name}: no better for {progress['waited']} epochs, stopping early")
            task.stop_training = True

    def _write(self, epoch: int, logs: dict, seconds: float, held: dict, seen: dict) -> None:
        """The figures of an epoch, into TensorBoard and the history."""
        training, task = self.training, self.model
        rate = float(keras.ops.convert_to_numpy(task.optimizer.learning_rate))
        trained = {f"loss/{key}": float(item) for key, item in logs.items()}
        speed = seconds / self.params["steps"]
        training.board.scalars(
            "training", self._board_epoch(epoch), {**trained, **seen, "learning rate": rate, "seconds per step": speed}
        )
        training.board.scalars("validation", self._board_epoch(epoch), held)
        training.folder.add_history(
            {
                "stage": self.name,
                "epoch": epoch + 1,
                "seconds": round(seconds, 1),
                "learning_rate": rate,
                **{f"training {key}": round(item, 5) for key, item in trained.items()},
                **{f"validation {key}": round(item, 5) for key, item in held.items()},
            }
        )

    def _board_epoch(self, epoch: int) -> int:
        """Epochs of both stages on one axis."""
        settings = self.training.settings
        before = 0 if self.name == "recognition" else settings.recognition.steps // settings.epoch_steps
        return before + epoch + 1

    def _line(self, epoch: int, held: dict[str, float], better: bool) -> str:
        parts = [f"{self.name}, epoch {epoch + 1}, held out:"]
        for label, key in (
            ("glimpses right", "reading/plates_right"),
            ("plates right", "end to end/plates_right"),
            ("characters right", "end to end/characters_right"),
            ("mean IoU", "end to end/mean_iou"),
        ):
            if key in held:
                parts.append(f"{label} {held[key]:.1%}" if "IoU" not in label else f"{label} {held[key]:.3f}")
        return "  ".join(parts) + ("  (best so far)" if better else "")


class AveragedAdamW(keras.optimizers.AdamW):
    """AdamW that keeps moving averages of the weights whose momentum rises with the steps, up to `most`.

    The average is over about the last tenth of the steps so far; a constant momentum would keep the first, untrained
    weights in it for hundreds of steps. It depends on the optimizer's step alone: a resumed training goes on with it.
    """

    def __init__(self, learning_rate, most: float, **kwargs):
        super().__init__(learning_rate, use_ema=True, ema_momentum=most, **kwargs)

    @property
    def ema_momentum(self):
        step = keras.ops.cast(self.iterations, "float32")
        return keras.ops.minimum(self._most, (1 + step) / (10 + step))

    @ema_momentum.setter
    def ema_momentum(self, most: float):
        self._most = most


@contextlib.contextmanager
def averaged_weights(task: keras.Model):
    """Within the context, the task's trainable weights are their moving averages."""
    kept = [np.array(variable) for variable in task.trainable_variables]
    task.optimizer.finalize_variable_values(task.trainable_variables)
    for variable in task.trainable_variables:  # JAX would share the memory with the averages, and give it away.
        variable.assign(np.array(variable))
    try:
        yield
    finally:
        for variable, value in zip(task.trainable_variables, kept, strict=True):
            variable.assign(value)


@keras.saving.register_keras_serializable("lpr_e2e")
class WarmCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to `peak`, then a cosine down to a hundredth of it at `steps`."""

    def __init__(self, peak: float, warm_up: int, steps: int):
        super().__init__()
        self.peak, self.warm_up, self.steps = peak, warm_up, steps

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        rising = (step + 1) / max(1, self.warm_up)
        done = keras.ops.clip((step - self.warm_up) / max(1, self.steps - self.warm_up), 0.0, 1.0)
        falling = 0.01 + 0.99 * 0.5 * (1 + keras.ops.cos(math.pi * done))
        return self.peak * keras.ops.minimum(rising, falling)

    def get_config(self):
        return {"peak": self.peak, "warm_up": self.warm_up, "steps": self.steps}
