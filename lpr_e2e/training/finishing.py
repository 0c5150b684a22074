"""The end of a training: the temperature, what the model promises, and the figures that are written down."""

from __future__ import annotations

from dataclasses import dataclass

from lpr_e2e.evaluation.scoring import Figures
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.training.evaluators import HeldOut, Photographs, best_temperature
from lpr_e2e.training.promising import fit_promise


@dataclass(frozen=True)
class Finished:
    """A finished model's figures.

    Attributes:
        figures: on all held-out photographs.
        photographs: the readings that they come from.
        by_set: of several data sets, the figures of each by its name.
        values: all of it for `figures.json`, with the temperature and the promise.
    """

    figures: Figures
    photographs: Photographs
    by_set: dict[str, Figures]
    values: dict


def finish(model: PlateModel, held: HeldOut) -> Finished:
    """Fit a model's temperature, what is `ok` and what that promises, in place, and read what is held out with it."""
    model.temperature.assign(best_temperature(model, held))
    fit_promise(model, held.dataset.validation_photographs)
    photographs = Photographs(held)
    figures = photographs.figures(model)
    by_set = photographs.figures_by_set()
    of_sets = {name: {**of_set.as_dict(), **of_set.sizes()} for name, of_set in by_set.items()}
    values = {
        **figures.as_dict(),
        **figures.sizes(),
        "temperature": float(model.temperature),
        "promise": model.promise.as_config(),
        **({"by data set": of_sets} if of_sets else {}),
        "mistakes": [[one.img_id, one.truth, one.read, round(one.confidence, 4)] for one in figures.mistakes],
    }
    return Finished(figures, photographs, by_set, values)
