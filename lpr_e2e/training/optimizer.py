"""The optimiser: AdamW with averaged weights, and the course of its learning rate."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import keras
import numpy as np

from lpr_e2e.training.settings import Settings, StageSettings

# Part of the variables' names that weight decay leaves alone: offsets, normalisation, and what is looked up.
_UNDECAYED = ["bias", "gamma", "beta", "positions", "queries"]
# Longer gradients, over all weights, are shortened to this.
_LONGEST_GRADIENT = 1.0


def make_optimizer(settings: Settings, stage: StageSettings) -> AveragedAdamW:
    """The optimiser of a stage, not built yet."""
    optimizer = AveragedAdamW(
        WarmCosine(stage.learning_rate, stage.warm_up, stage.steps, stage.lowest_rate),
        settings.averaging,
        settings.averaging_power,
        weight_decay=settings.weight_decay,
        global_clipnorm=_LONGEST_GRADIENT,
    )
    optimizer.exclude_from_weight_decay(var_names=_UNDECAYED)
    return optimizer


class AveragedAdamW(keras.optimizers.AdamW):
    """AdamW that keeps moving averages of the weights whose momentum rises with the steps, up to `most`.

    Until then the weights of a step count with its number to the power of `power`
    (https://arxiv.org/abs/1212.1824): with 8, the average is over about the last tenth of the steps so far, with 1 over
    their second half. A constant momentum would keep the first, untrained weights in it for hundreds of steps. It
    depends on the optimizer's step alone: a resumed training goes on with it.
    """

    def __init__(self, learning_rate, most: float, power: float, **kwargs):
        super().__init__(learning_rate, use_ema=True, ema_momentum=most, **kwargs)
        self._power = power

    @property
    def ema_momentum(self):
        step = keras.ops.cast(self.iterations, "float32")
        return keras.ops.minimum(self._most, (1 + step) / (2 + self._power + step))

    @ema_momentum.setter
    def ema_momentum(self, most: float):
        self._most = most


@contextlib.contextmanager
def averaged_weights(task: keras.Model) -> Iterator[None]:
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
    """Linear warm-up to `peak`, then a cosine down to the share `lowest` of it at `steps`."""

    def __init__(self, peak: float, warm_up: int, steps: int, lowest: float):
        super().__init__()
        self.peak, self.warm_up, self.steps, self.lowest = peak, warm_up, steps, lowest

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        rising = (step + 1) / max(1, self.warm_up)
        done = keras.ops.clip((step - self.warm_up) / max(1, self.steps - self.warm_up), 0.0, 1.0)
        falling = self.lowest + (1 - self.lowest) * 0.5 * (1 + keras.ops.cos(math.pi * done))
        return self.peak * keras.ops.minimum(rising, falling)

    def get_config(self):
        return {"peak": self.peak, "warm_up": self.warm_up, "steps": self.steps, "lowest": self.lowest}
