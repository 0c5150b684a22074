"""What the networks of a file give, compared with the description beside it: both may come from anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lpr_e2e.common.errors import UserError
from lpr_e2e.prediction.description import FILE, Description
from lpr_e2e.prediction.engines import Engine


class DescribedEngine:
    """An engine whose answers are as `Engine` says, and of the sizes that the description says, or refused.

    Args:
        engine: of an exported model.
        description: of the same model.
        folder: of the model, for messages.
    """

    def __init__(self, engine: Engine, description: Description, folder: Path):
        self._engine, self._folder = engine, folder
        grid, vocabulary = description.grid_size, description.vocabulary
        self._read = {"logits": (vocabulary.slots, vocabulary.classes), "attention": (vocabulary.slots, *grid)}

    def find(self, scenes: np.ndarray) -> dict[str, np.ndarray]:
        """See `Engine.find`.

        Raises:
            UserError: the model cannot be run, or gives something else.
        """
        answer = self._engine.find(scenes)
        cells = max((1, *getattr(answer.get("objectness"), "shape", ())[1:2]))
        expected = {"objectness": (cells,), "cell_boxes": (cells, 4), "cell_turns": (cells, 4), "cell_tilts": (cells,)}
        return self._checked(answer, expected, len(scenes))

    def read(self, glimpses: np.ndarray) -> dict[str, np.ndarray]:
        """See `Engine.read`.

        Raises:
            UserError: the model cannot be run, or gives something else.
        """
        return self._checked(self._engine.read(glimpses), self._read, len(glimpses))

    def _checked(self, answer: dict, shapes: dict[str, tuple[int, ...]], count: int) -> dict[str, np.ndarray]:
        for name, shape in shapes.items():
            found = answer.get(name)
            if not isinstance(found, np.ndarray) or found.shape != (count, *shape) or found.dtype.kind != "f":
                seen = "nothing" if found is None else f"{np.shape(found)} {getattr(found, 'dtype', type(found))}"
                raise UserError(
                    f"{self._folder}: this model cannot be run: as its {FILE} says, it gives {name} of "
                    f"{(count, *shape)} floats; found {seen}; export the model anew with `python -m lpr_e2e export`"
                )
        return answer
