"""Label some photographs, train on all that are labelled, see what became better; and again.

    lpr-e2e loop FOLDER             rounds of 25 answers and a training of a quarter of an hour
    lpr-e2e loop FOLDER --round 50  of 50 answers

Each round opens the page of `lpr-e2e label`, with the photographs first from which the model of the round before can
learn most, and closes it after so many answers. It then trains from the base weights on all answers so far. So what a
round holds out was never trained on, and its figures can be believed. Ctrl-C ends it, and the same command goes on.
Exit status: 0 when all is answered, or after Ctrl-C on the page; that of the training if it fails; 2 for a wrong call.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from lpr_e2e.commands.arguments import at_least_one
from lpr_e2e.commands.label import TABLE, answer
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import read_json, require_places, write_json
from lpr_e2e.common.terminal import say

ROUND, PRESET = 25, "quick"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="a folder with photographs, searched with all below it")
    add("--round", type=at_least_one, default=ROUND, metavar="N", help="answers of a round, default: %(default)s")
    add("--preset", choices=("quick", "standard"), default=PRESET, help="of the trainings, default: %(default)s")
    add("--runs", type=Path, metavar="DIR", help="folder of the runs, one a round; default: runs/loop-FOLDER")
    add("--no-browser", action="store_true", help="print the page's address, and open no browser")


def run(options: argparse.Namespace) -> int:
    """Go through rounds until all is answered, or somebody ends it.

    Raises:
        UserError: the folder, its labels or a run cannot be used.
        OSError: a file cannot be read or written.
    """
    from lpr_e2e.annotation.beginning import Beginning
    from lpr_e2e.data.labels import NOTHING_SAID
    from lpr_e2e.prediction.models import START_NAME
    from lpr_e2e.prediction.reader import PlateReader

    folder = options.folder
    runs = options.runs or Path("runs") / f"loop-{folder.resolve().name}"
    require_places([], made=runs)
    _refuse_rounds_of_others(runs, folder)
    while True:
        done = _rounds(runs)
        if done and not (done[-1] / "figures.json").exists():
            code = _train(folder, done[-1], options.preset)
        else:
            beginning = Beginning.of(folder, NOTHING_SAID, None, None)
            for note in beginning.notes:
                say(note)
            reader = PlateReader.load(done[-1] / "best.keras" if done else START_NAME)
            before = _figures(done[-1])["answered"] if done else 0
            goal = before + options.round
            progress = answer(beginning, folder / TABLE, reader, 0, not options.no_browser, goal)
            if progress["wanted"]:
                say(f"{progress['answered']} photographs are answered. Go on: {_command(options)}")
                return 0
            if done and progress["answered"] <= before:
                say("All photographs are answered, and the last training has seen them.")
                return 0
            code = _train(folder, runs / f"round-{len(done) + 1:02}", options.preset, progress["answered"])
        if code:
            return code
        say(_table(_rounds(runs)))


def _rounds(runs: Path) -> list[Path]:
    """The run folders of all rounds, in order."""
    found = (one for one in runs.glob("round-*") if (one / "config.json").exists())
    return sorted(found, key=lambda one: (len(one.name), one.name))


def _refuse_rounds_of_others(runs: Path, folder: Path) -> None:
    """Make sure that no model of other photographs orders these, and that none is trained on two folders in turns.

    Raises:
        UserError: a round in the folder of runs is of other photographs, which are still where they were.
    """
    for noted in sorted(runs.glob("round-*.json")):
        try:
            others = Path(read_json(noted)["photographs"])
        except (OSError, ValueError, TypeError, KeyError):  # Of before, or damaged, which is said where it is used.
            continue
        if others.is_dir() and others.resolve() != folder.resolve():
            raise UserError(f"{noted}: is of the photographs in {others}; name another folder with --runs")


def _command(options: argparse.Namespace) -> str:
    """The command that goes on with the same rounds."""
    said = [options.spelled("loop"), str(options.folder)]
    for name, usual in (("runs", None), ("round", ROUND), ("preset", PRESET)):
        value = getattr(options, name)
        said += [f"--{name}", str(value)] if value != usual else []
    return " ".join(said)


def _train(folder: Path, run_folder: Path, preset: str, answered: int | None = None) -> int:
    """Train a round, or go on with its training; in a process of its own, whose memory is free afterwards.

    Args:
        folder: the data.
        run_folder: of the round.
        preset: of a new training.
        answered: how many photographs are answered; None to go on.
    """
    run_folder.parent.mkdir(parents=True, exist_ok=True)
    noted = run_folder.with_name(f"{run_folder.name}.json")
    if answered is not None:
        write_json(noted, {"answered": answered, "photographs": str(folder.resolve())})
    new = ["--data", str(folder), "--preset", preset, "--run", str(run_folder)]
    going_on = (run_folder / "config.json").exists()
    called = [sys.executable, "-m", "lpr_e2e", "train", *(["--resume", str(run_folder)] if going_on else new)]
    return subprocess.run(called).returncode


def _figures(run_folder: Path) -> dict[str, Any]:
    """What a round was trained on, and what its model reads.

    Raises:
        UserError: a file of it is damaged.
    """
    try:
        noted = read_json(run_folder.with_name(f"{run_folder.name}.json"))
        figures = {**read_json(run_folder / "figures.json"), **noted}
        answered, texts, right = int(figures["answered"]), int(figures["texts"]), figures.get("plates_right") or 0.0
        if min(answered, texts) < 0 or not 0 <= right <= 1:
            raise ValueError(f"{answered} answered, {texts} texts, {right} of them right")
    except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise UserError(f"{run_folder}: no round of a loop ({error}); name another folder with --runs") from None
    return {"answered": answered, "texts": texts, "plates_right": right}


def _table(rounds: list[Path]) -> str:
    """What became better, round by round."""
    from lpr_e2e.evaluation.intervals import interval_in_words

    lines = ["round  answered  held-out plates read without an error"]
    for number, one in enumerate(rounds, start=1):
        figures = _figures(one)
        texts = figures["texts"]
        right = round(figures["plates_right"] * texts)
        read = f"{figures['plates_right']:.0%} {interval_in_words(right, texts)}" if texts else "none is held out"
        lines.append(f"{number:>5}  {figures['answered']:>8}  {read}")
    return "\n".join(lines)
