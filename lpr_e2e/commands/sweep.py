"""Try settings of the training out: Optuna chooses the values, and every trial is a run folder.

    lpr-e2e sweep settings.yaml --data DIR --preset quick --workers 2
    tensorboard --logdir runs/sweep                                       compare them: see HPARAMS

settings.yaml names settings as `train --set` does, with the values to try or a range:

    joint.learning_rate: {from: 0.0003, to: 0.003, scale: log}
    mixture.partly: [0.1, 0.2, 0.3]

Options that are not ours are those of `lpr-e2e train`, for every trial: --data, --preset, --exclude, --seed and so on.
Trials are compared by a figure of the held-out photographs. The best of many has been chosen on them: its figure
flatters it. A sweep that was stopped goes on with the same command, and so does one of which a training ended early.
With --storage, sweeps on several machines share the trials, each with a folder of its own.
Exit status: 0 when all trials are done, 2 if some ended early or the call is wrong, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lpr_e2e.commands import train
from lpr_e2e.commands.arguments import at_least_one
from lpr_e2e.commands.starting import settings_of, start_of
from lpr_e2e.common.cores import available_cores
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import say

if TYPE_CHECKING:
    from lpr_e2e.training.settings import Settings

TAKES_REST = True  # Those of a training.
# What a sweep decides itself, and what is no training.
_NOT_FOR_A_TRIAL = ("run", "resume", "check", "fix", "threads")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add = parser.add_argument
    add("settings", type=Path, metavar="FILE", help="YAML file of the settings and the values to try")
    add("--trials", type=at_least_one, metavar="N", help="default: all combinations; 20 if there is a range")
    add("--workers", type=at_least_one, default=1, metavar="N", help="trainings at a time, default %(default)s")
    add("--figure", default="plates_right", metavar="NAME", help="compare by this one, default: %(default)s")
    add("--output", type=Path, default=Path("runs/sweep"), metavar="DIR", help="default: %(default)s")
    add("--storage", metavar="URL", help="a database that several machines share; default: a file in --output")


def run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Train what is not done yet, and print the table.

    Args:
        options: the command's own.
        rest: of every training.
    """
    settings = _training(rest, options.spelled("train"))
    from lpr_e2e.experiments.sweep import LESS_IS_BETTER, MORE_IS_BETTER, TRIALS, Call, Sweep, combinations, read_space

    known = (*MORE_IS_BETTER, *LESS_IS_BETTER)
    if options.figure not in known:
        raise UserError(f"--figure {options.figure}: expected one of {', '.join(known)}")
    space = read_space(options.settings, settings)
    trials = options.trials or combinations(space) or TRIALS
    sweep = Sweep(Call(space, tuple(rest), options.figure), options.output, options.storage)
    sweep.run(trials, options.workers, max(1, available_cores() // options.workers))
    say(f"\n{sweep.table()}\n\ncompare them: tensorboard --logdir {options.output}")
    return 0


def _training(rest: Sequence[str], called: str) -> Settings:
    """The settings of every training, of arguments that a training takes.

    Raises:
        UserError: it does not take them, or lacks something.
    """
    parser = argparse.ArgumentParser(prog=called, add_help=False)
    train.add_arguments(parser)
    options = parser.parse_args(rest)
    named = [f"--{name}" for name in _NOT_FOR_A_TRIAL if getattr(options, name)]
    if named or not options.data:
        raise UserError("expected --data" if not named else f"leave {', '.join(named)} out: the sweep decides that")
    from lpr_e2e.data.forms import require_source

    for source in options.data:
        require_source(source)
    start_of(options)
    return settings_of(options)
