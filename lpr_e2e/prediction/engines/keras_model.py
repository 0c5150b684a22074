"""Keras: a model in training, or a `.keras` file, on any of its backends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lpr_e2e.common.backend import import_keras, our_settings, require_backend
from lpr_e2e.prediction.description import Description

if TYPE_CHECKING:
    from lpr_e2e.model.plate_model import PlateModel


class KerasEngine:
    """Both networks of a Keras model, as its weights are at the time of each call.

    Args:
        model: the model.
    """

    def __init__(self, model: PlateModel):
        import keras

        from lpr_e2e.model.plate_model import normalised, scaled

        self._finder, self._reader = model.finder, model.reader
        self._prepared = {"find": scaled, "read": normalised}
        # JAX compiles for every number of pictures anew, TensorFlow without XLA once for all of them.
        self._fixed_sizes = keras.backend.backend() == "jax"
        if keras.backend.backend() == "tensorflow":
            self._finder.jit_compile = self._reader.jit_compile = False

    def find(self, scenes: np.ndarray) -> dict[str, np.ndarray]:
        """See `Engine.find`."""
        return self._run(self._finder, "find", scenes)

    def read(self, glimpses: np.ndarray) -> dict[str, np.ndarray]:
        """See `Engine.read`."""
        answer = self._run(self._reader, "read", glimpses)
        return {"logits": answer["logits"][:, -1], "attention": answer["attention"]}

    def _run(self, network, name: str, batch: np.ndarray) -> dict[str, np.ndarray]:
        from keras import ops

        count = len(batch)
        if self._fixed_sizes:  # Powers of two: few sizes to compile for.
            filled = 1 << (count - 1).bit_length()
            batch = np.concatenate([batch, np.zeros((filled - count, *batch.shape[1:]), batch.dtype)])
        answer = network.predict_on_batch(ops.convert_to_numpy(self._prepared[name](batch)))
        return {name: np.asarray(values)[:count] for name, values in answer.items()}


def load_model(path: Path) -> PlateModel:
    """The Keras model of a `.keras` file. Keras's settings, which a program may need otherwise, stay as they are.

    Raises:
        UserError: Keras cannot run here, or the file is no model of this package.
    """
    require_backend()
    import_keras()
    with our_settings():  # Importing the model's module sets ours for good, as training needs it.
        from lpr_e2e.model.plate_model import load

        return load(path)


def describe(model: PlateModel) -> Description:
    """The description of a Keras model, with the temperature, the promise and the forms that it has now."""
    sizes = model.architecture
    return Description(
        characters=model.vocabulary.characters,
        slots=model.vocabulary.slots,
        canvas_size=sizes.canvas_size,
        scene_shrink=sizes.scene_shrink,
        glimpse_size=(sizes.glimpse_size[0], sizes.glimpse_size[1]),
        grid_size=tuple(model.reader.output["attention"].shape[-2:]),
        temperature=float(model.temperature),
        procedure=model.procedure,
        promise=model.promise,
        forms=model.text_forms.examples,
    )
