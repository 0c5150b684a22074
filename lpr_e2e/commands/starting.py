"""What a new training starts from, and its settings: options of `train`, which `check` takes, too."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lpr_e2e.common.errors import UserError

if TYPE_CHECKING:
    from lpr_e2e.data.samples import Dataset
    from lpr_e2e.training import alphabet
    from lpr_e2e.training.settings import Settings

# What `--weights` says for none.
NO_WEIGHTS = "none"


@dataclass(frozen=True)
class Start:
    """What a training starts from: a saved model, or None; and that in words.

    `chosen` is whether nobody has named it.
    """

    weights: Path | None
    said: str
    chosen: bool = False


def add_start_options(parser: argparse.ArgumentParser, start: argparse._ActionsContainer) -> None:
    """The options that `settings_of` and `start_of` take; `--weights` goes into `start`."""
    parser.add_argument(
        "--preset", choices=("standard", "quick", "small"), help="default: standard, for the demo small"
    )
    parser.add_argument(
        "--set", action="append", metavar="NAME=VALUE", help="another value for a setting, such as joint.steps=500"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of weights, batches and a drawn split, default 0")
    start.add_argument(
        "--weights",
        metavar="MODEL",
        help="start a new run from a .keras file, or a name that `models` lists, or from `none`; default with the "
        "presets standard and quick: the base weights that come along",
    )
    parser.add_argument(
        "--characters",
        metavar="LETTERS",
        help="letters to learn from drawn plates though no label has them; default: those that labels are likely to "
        "lack, if the start knows them",
    )
    parser.add_argument("--font", action="append", metavar="FILE", help="a font to draw plates with; several times")


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings of a new run.

    Raises:
        UserError: there is no such setting, or no such font.
    """
    from lpr_e2e.common.fonts import face_of_file
    from lpr_e2e.training.settings import PRESETS

    try:
        settings = PRESETS[_preset(options)].changed(options.set or [])
    except UserError as error:
        raise UserError(f"--set: {error}") from None
    fonts = tuple(str(Path(font).resolve()) for font in options.font or ())
    for font in fonts:
        face_of_file(font)
    settings = replace(settings, characters=options.characters or "", fonts=fonts)
    return settings if options.seed is None else with_seed(settings, options.seed)


def with_seed(settings: Settings, seed: int) -> Settings:
    """The settings with what `--seed` says.

    Raises:
        UserError: it is no seed.
    """
    try:
        return replace(settings, seed=seed)
    except UserError as error:
        raise UserError(f"--seed: {error}") from None


def start_of(options: argparse.Namespace) -> Start:
    """What a new run starts from.

    Raises:
        UserError: somebody has named a model that is not there, or a preset that needs weights has none.
    """
    from lpr_e2e.prediction.models import START_NAME, find
    from lpr_e2e.training.settings import FROM_WEIGHTS

    preset = _preset(options)
    if options.weights == NO_WEIGHTS:
        if preset in FROM_WEIGHTS:
            raise UserError(
                f"--preset {preset}: is too short to learn from nothing; leave --weights {NO_WEIGHTS} out, or take "
                "--preset standard"
            )
        return Start(None, "nothing")
    if options.weights is not None:
        return Start(find(options.weights, keras=True), f"the weights of {options.weights}")
    if preset not in ("standard", *FROM_WEIGHTS):  # Others have other sizes.
        return Start(None, "nothing")
    try:
        weights = find(START_NAME, keras=True)
    except UserError as error:
        if preset in FROM_WEIGHTS:
            raise UserError(f"--preset {preset}: needs weights to start from: {error}") from None
        return Start(None, f"nothing: {error}", chosen=True)
    return Start(weights, f"the weights of {START_NAME} (--weights {NO_WEIGHTS} starts from nothing)", chosen=True)


def letters_lacking(
    options: argparse.Namespace, settings: Settings, start: Start, dataset: Dataset
) -> list[alphabet.Lacking]:
    """The letters that the data are likely to lack and the start knows; none if somebody has named letters."""
    from lpr_e2e.training import alphabet

    if start.weights is None or options.characters is not None:
        return []
    return alphabet.lacking(dataset.training_texts(), alphabet.characters_of(start.weights), settings)


def stages_set(options: argparse.Namespace) -> set[str]:
    """The stages whose number of steps `--set` names."""
    return {name.partition(".")[0].strip() for name in options.set or [] if name.partition("=")[0].endswith(".steps")}


def _preset(options: argparse.Namespace) -> str:
    return options.preset or ("standard" if options.data else "small")
