"""One model of several trainings: the mean of their weights.

Trainings that start from the same weights, and differ in their seed, end in one valley of the loss, so that the mean of
their weights is a model, too, and mostly a better one: what one of them made up by chance, the others did not
(model soups, Wortsman et al. 2022, https://arxiv.org/abs/2203.05482). It reads as fast as one. Of trainings that start
from nothing it is none: their filters do not correspond.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lpr_e2e.common.errors import UserError
from lpr_e2e.data.dataset import DataSource
from lpr_e2e.data.together import load_all
from lpr_e2e.model.plate_model import PlateModel, load
from lpr_e2e.training.evaluators import HeldOut
from lpr_e2e.training.finishing import Finished, finish
from lpr_e2e.training.run_folder import RunFolder


def averaged(models: Sequence[PlateModel], names: Sequence[object]) -> PlateModel:
    """The mean of models: the first one, with the mean of all weights.

    Args:
        models: of the same sizes and characters; how photographs are read is taken from the first, which is changed.
        names: of the models, as many, for messages.

    Raises:
        UserError: they do not have the same sizes or characters.
    """
    first, *others = models
    for other, name in zip(others, names[1:], strict=True):
        for what, of_first, of_other in (
            ("sizes", first.architecture, other.architecture),
            ("characters", first.vocabulary.characters, other.vocabulary.characters),
            ("slots", first.vocabulary.slots, other.vocabulary.slots),
        ):
            if of_first != of_other:
                raise UserError(
                    f"{name}: has other {what} than {names[0]} ({of_other} instead of {of_first}); expected trainings "
                    "with the same command but for --seed"
                )
    weights = [[np.asarray(weight, "float64") for weight in model.get_weights()] for model in models]
    first.set_weights([np.mean(of_all, axis=0) for of_all in zip(*weights, strict=True)])
    return first


def average(runs: Sequence[Path], data: Sequence[Path] | None = None) -> tuple[PlateModel, Finished]:
    """The mean of the models of finished runs, with its own temperature and promise.

    Args:
        runs: run folders of at least two trainings on the same data, whose held-out photographs are the same.
        data: where the data are now, if they were moved.

    Raises:
        UserError: a folder holds no finished run, or the runs do not go together.
    """
    folders = [RunFolder(path) for path in runs]
    if len({folder.path.resolve() for folder in folders}) < 2:
        raise UserError(f"{runs[0]}: is one run; expected at least two different ones")
    configs, held_out = [folder.config() for folder in folders], folders[0].held_out()
    for folder in folders:
        progress = folder.progress()
        if progress is None or progress["stage"] != "done":
            raise UserError(f"{folder.path}: not trained to its end; go on with `train --resume {folder.path}`")
        folder.require_best()
        if folder.held_out() != held_out:
            raise UserError(
                f"{folder.path}: holds out other pictures than {folders[0].path}: one has learned what the other is "
                "judged by; train on the same data, with the held-out photographs in validation.csv"
            )
    source = DataSource.from_config(configs[0], configs[0]["settings"].seed)
    dataset = load_all(source.moved(data) if data else source)
    folders[0].check_split(dataset)
    model = averaged([load(folder.path / "best.keras") for folder in folders], [folder.path for folder in folders])
    model.procedure = configs[0]["settings"].procedure  # What was fitted to one model is fitted to the mean anew.
    held = HeldOut(dataset, model.vocabulary, model.architecture, model.procedure)
    return model, finish(model, held)
