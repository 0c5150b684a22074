"""Settings that are tried out: trainings that differ in them, chosen by Optuna, several at a time.

A trial is a run folder of its own. What was tried and what came of it is in a database: by default a file beside the
runs, or one that several machines share. A trial whose training ended early is left open there, and the next sweep goes
on with it.

Optuna: https://arxiv.org/abs/1907.10902.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from operator import attrgetter
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
import sqlalchemy.exc
import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import owned
from lpr_e2e.common.terminal import complain, many, say
from lpr_e2e.data.forms.sources import read_text
from lpr_e2e.experiments import processes
from lpr_e2e.training.run_folder import RunFolder
from lpr_e2e.training.settings import Settings

# A setting's values: JSON texts to choose from, or a range.
Space = Mapping[str, BaseDistribution]

# What trials can be compared by; of the second ones less is better.
MORE_IS_BETTER = ("plates_right", "characters_right", "mean_iou", "ok_coverage")
LESS_IS_BETTER = ("log_loss", "calibration_error")
# Trials of a sweep with a range, unless it is said how many.
TRIALS = 20

_STUDY, _DATABASE, _LOCK = "sweep", "study.db", "lock"
# Of the study: what all trials have in common. Of a trial: where its run is.
_CALL, _HOST, _RUN = "call", "host", "run"
_RANGE_KEYS = {"from", "to", "scale"}
# Seconds between two looks at the trainings.
_PAUSE = 0.5


def read_space(path: Path, settings: Settings) -> dict[str, BaseDistribution]:
    """The values to be tried, of a YAML file.

    Args:
        path: a mapping from names of settings, as `--set` takes them, to a list of values, or to a range
            `{from: 0.0003, to: 0.003}`, for orders of magnitude with `scale: log`.
        settings: of the trainings, without these values.

    Raises:
        UserError: it is no such file, or a value is none of that setting.
    """
    try:
        content = yaml.safe_load(read_text(path, "the settings to try"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: expected YAML; found otherwise ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(content, dict) or not content or not all(isinstance(name, str) for name in content):
        raise UserError(f"{path}: expected lines such as `joint.learning_rate: [0.0005, 0.001]`")
    if "seed" in content:
        raise UserError(f"{path}: seed: a drawn split changes with it, so that trials could not be compared")
    space = {}
    for name, values in content.items():
        try:
            space[name] = _distribution(name, values, settings)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
    return space


def _distribution(name: str, values: Any, settings: Settings) -> BaseDistribution:
    """The values of one setting, all of them values that it can have."""
    if isinstance(values, list) and values:
        try:
            texts = [json.dumps(value, ensure_ascii=False) for value in values]
        except (TypeError, ValueError, RecursionError):  # A date, say.
            raise UserError(f"{name}: {values}; expected numbers, texts, true, false, or lists of them") from None
        for text in texts:
            settings.changed([f"{name}={text}"])
        return CategoricalDistribution(list(dict.fromkeys(texts)))
    if not isinstance(values, dict) or not {"from", "to"} <= values.keys() <= _RANGE_KEYS:
        raise UserError(f"{name}: {values!r}; expected a list of values, or {{from: LEAST, to: MOST, scale: log}}")
    least, most, scale = values["from"], values["to"], values.get("scale", "linear")
    for value in (least, most):
        settings.changed([f"{name}={json.dumps(value, default=str)}"])
    now, logarithmic = attrgetter(name)(settings), scale == "log"
    if isinstance(now, bool) or not isinstance(now, int | float):
        raise UserError(f"{name}: {values}; expected a list: it is no number, and has no range")
    if scale not in ("linear", "log") or not least < most or (logarithmic and least <= 0):
        raise UserError(f"{name}: {values}; expected from < to, and scale linear or log, for log from > 0")
    kind = IntDistribution if isinstance(now, int) else FloatDistribution
    return kind(least, most, log=logarithmic)


def combinations(space: Space) -> int | None:
    """How many trainings there are to try; None where there is a range."""
    listed = [one for one in space.values() if isinstance(one, CategoricalDistribution)]
    return prod(len(one.choices) for one in listed) if len(listed) == len(space) else None


def assignments(params: Mapping[str, Any]) -> list[str]:
    """A trial's values as `--set` takes them."""
    return [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in params.items()]


@dataclass(frozen=True)
class Call:
    """What all trials of a sweep have in common.

    Attributes:
        space: the values to be tried.
        arguments: of every training, without `--run`, `--set` for the values and `--threads`.
        figure: what is compared, out of `MORE_IS_BETTER` and `LESS_IS_BETTER`.
    """

    space: Space
    arguments: tuple[str, ...]
    figure: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        space = {name: json.loads(optuna.distributions.distribution_to_json(one)) for name, one in self.space.items()}
        return {"settings": space, "arguments": list(self.arguments), "figure": self.figure}


class Sweep:
    """Tries settings out, in a folder of its own on this machine.

    Args:
        call: what all trials have in common.
        output: where the run folders go, and what each training prints: `trial-0003`, `trial-0003.log`.
        storage: URL of a database that other machines work with, too, as SQLAlchemy takes it; a file in `output` if
            None.
        start: starts `lpr-e2e train` with arguments in a process that writes into a file.

    Raises:
        UserError: the database cannot be used, or holds trials of another call.
    """

    def __init__(
        self,
        call: Call,
        output: Path,
        storage: str | None = None,
        start: Callable[[Sequence[str], Path], subprocess.Popen] = processes.start_training,
    ):
        self.call, self.output, self.start = call, output, start
        self.output.mkdir(parents=True, exist_ok=True)
        self._host = socket.gethostname()
        # Trials whose values another one has that is being trained, by its number: they will get its figure.
        self._twins: dict[int, list[int]] = {}
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study = self._opened(storage)
        before = self.study.user_attrs.get(_CALL)
        if before is None:
            self.study.set_user_attr(_CALL, call.as_dict())
        elif before != call.as_dict():
            other = next(name for name, value in call.as_dict().items() if before.get(name) != value)
            raise UserError(
                f"{storage or self.output}: holds trials with {other} {json.dumps(before.get(other))}, not "
                f"{json.dumps(call.as_dict()[other])}; name another with {'--storage' if storage else '--output'}"
            )

    def _opened(self, storage: str | None) -> optuna.Study:
        path = self.output / _DATABASE
        # Not put together by hand: a path may have signs that mean something in a URL.
        own = sqlalchemy.URL.create("sqlite", database=str(path.resolve())).render_as_string()
        try:
            return optuna.create_study(
                storage=storage or own,
                sampler=optuna.samplers.TPESampler(),
                study_name=_STUDY,
                direction="minimize" if self.call.figure in LESS_IS_BETTER else "maximize",
                load_if_exists=True,
            )
        # A database's own words may quote the address, with its password.
        except (sqlalchemy.exc.SQLAlchemyError, RuntimeError, ValueError) as error:
            what = type(getattr(error, "orig", None) or error).__name__
            if storage is None:
                raise UserError(f"{path}: damaged ({what}); name another folder with --output") from None
            raise UserError(
                f"--storage: cannot be used ({what}); expected the URL of a database that can be reached, such as "
                "postgresql://USER:PASSWORD@HOST/NAME, and its driver installed"
            ) from None

    def run(self, trials: int, workers: int, threads: int) -> None:
        """Train until so many trials are done.

        Args:
            trials: those done before, and those of other machines, count.
            workers: trainings at a time.
            threads: of each training.

        Raises:
            UserError: another sweep works in this folder, or trainings ended early, when the others are done.
        """
        with owned(self.output / _LOCK, f"{self.output}: another sweep works in this folder; wait for it, or stop it"):
            if not self.study.trials and combinations(self.call.space) == trials:
                names = [*self.call.space]
                for values in product(*(one.choices for one in self.call.space.values())):
                    self.study.enqueue_trial(dict(zip(names, values, strict=True)))
            ended_early = self._train(trials, workers, threads)
        if ended_early:
            raise UserError(
                f"{many(ended_early, 'training')} ended early, and {self.output} has what each has printed; the same "
                "command goes on with them"
            )

    def _train(self, trials: int, workers: int, threads: int) -> int:
        """Start trainings and wait for them; how many of them ended early."""
        open_here, ended_early = self._left_open(), 0
        running: dict[int, subprocess.Popen] = {}
        try:
            while True:
                while len(running) < workers and (trial := self._next(trials, open_here, [*running])) is not None:
                    running[trial.number] = self.start(self._arguments(trial, threads), self._log(trial.number))
                if not running:
                    return ended_early
                for number, process in [*running.items()]:
                    if process.poll() is not None:
                        del running[number]
                        ended_early += not self._told(number, process.returncode)
                time.sleep(_PAUSE)
        finally:
            for process in running.values():
                process.terminate()  # It leaves what can be resumed.
            for process in running.values():
                process.wait()

    def _left_open(self) -> list[FrozenTrial]:
        """The trials of this folder that are not done, though nobody trains them."""
        found = []
        for trial in self._trials(TrialState.RUNNING):
            if self._is_here(trial):
                try:
                    with RunFolder(self._folder(trial.number)).locked():
                        found.append(trial)
                except UserError:
                    complain(f"trial {trial.number}: a process of an earlier sweep still trains it; it is left alone")
        return found

    def _is_here(self, trial: FrozenTrial) -> bool:
        place = (trial.user_attrs.get(_HOST), trial.user_attrs.get(_RUN))
        return place == (self._host, str(self._folder(trial.number).resolve()))

    def _next(self, trials: int, open_here: list[FrozenTrial], running: Sequence[int]) -> FrozenTrial | None:
        """The trial to train next, of those left open or a new one; None if there are enough.

        What has the values of another trial is not trained: the same seed and settings give the same weights.
        """
        while open_here or len(self._trials(TrialState.COMPLETE, TrialState.RUNNING)) < trials:
            trial = open_here.pop(0) if open_here else self._asked()
            same = [one for one in self.study.trials if one.params == trial.params and one.number != trial.number]
            done = next((one for one in same if one.state == TrialState.COMPLETE), None)
            trained = next((one.number for one in same if one.number in running), None)
            if done is not None:
                self.study.tell(trial.number, done.value)
            elif trained is not None:
                self._twins.setdefault(trained, []).append(trial.number)
            else:
                say(f"trial {trial.number}: {' '.join(assignments(trial.params))}")
                return trial
        return None

    def _asked(self) -> FrozenTrial:
        """A new trial, which is this machine's."""
        trial = self.study.ask(dict(self.call.space))
        trial.set_user_attr(_HOST, self._host)
        trial.set_user_attr(_RUN, str(self._folder(trial.number).resolve()))
        return self.study.trials[trial.number]

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states)

    def _folder(self, number: int) -> Path:
        return self.output / f"trial-{number:04}"

    def _log(self, number: int) -> Path:
        return self.output / f"trial-{number:04}.log"

    def _arguments(self, trial: FrozenTrial, threads: int) -> list[str]:
        folder = self._folder(trial.number)
        sets = [part for one in assignments(trial.params) for part in ("--set", one)]
        new = [*self.call.arguments, *sets, "--run", str(folder)]
        return [*processes.resumed(folder, new), "--threads", str(threads)]

    def _told(self, number: int, code: int) -> bool:
        """Write down what came of a trial; whether its training is done."""
        if code:
            lines = self._log(number).read_text(encoding="utf-8", errors="replace").split("\n")
            last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing was printed")
            complain(f"trial {number}: the training ended with {code}: {last[-300:]}")
            return False
        figures = processes.figures_of(self._folder(number))
        if self.call.figure not in figures:
            raise UserError(
                f"{self._folder(number)}: its figures have no {self.call.figure}: nothing is held out that tells; "
                "compare by another with --figure"
            )
        for one in (number, *self._twins.pop(number, ())):
            self.study.tell(one, figures[self.call.figure])
        say(f"trial {number}: {self.call.figure} {figures[self.call.figure]:.4f}; best so far: {self.best().number}")
        return True

    def best(self) -> FrozenTrial:
        """The best trial that is done."""
        return self.study.best_trial

    def table(self) -> str:
        """A Markdown table of the trials that are done, the best one first."""
        by_values = {json.dumps(one.params): one for one in reversed(self._trials(TrialState.COMPLETE))}
        done = sorted(by_values.values(), key=lambda one: one.value, reverse=self._more_is_better)
        names = [*self.call.space]
        lines = [f"| trial | {self.call.figure} | {' | '.join(names)} | run |", "| --- " * (len(names) + 3) + "|"]
        for one in done:
            values = " | ".join(
                str(one.params[name]) if isinstance(one.params[name], str) else f"{one.params[name]:.6g}"
                for name in names
            )
            lines.append(f"| {one.number} | {one.value:.4f} | {values} | {one.user_attrs[_RUN]} |")
        return "\n".join(lines)

    @property
    def _more_is_better(self) -> bool:
        return self.study.direction == optuna.study.StudyDirection.MAXIMIZE
