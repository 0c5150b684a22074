"""Train a licence-plate reader.

    lpr-e2e train                                      draw a small demo set, train on it, show the result
    lpr-e2e train --data DIR --check                   what is in this data, and what is wrong with it?
    lpr-e2e train --data DIR                           train on your photographs and crops
    lpr-e2e train --data DIR --preset quick            a first look, in a quarter of an hour on two cores
    lpr-e2e train --data DIR --exclude rows.csv        leave rows of the crops' CSV out
    lpr-e2e train --data DIR DIR2 DIR3                 train one model on several data sets, each with an equal share
    lpr-e2e train --resume runs/NAME                   go on with an interrupted run (--data: if its data moved)
    lpr-e2e train --data DIR --weights none            start from nothing instead of from the weights that come along
    tensorboard --logdir runs                          watch it

lpr_e2e/data/README.md says what DIR holds, lpr_e2e/training/README.md what a run leaves in its folder.
Exit status: 0 at the end, 1 if --check finds faults, 2 if the training cannot begin or go on, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lpr_e2e.cli import INTERRUPTED
from lpr_e2e.commands.arguments import add_data_options, add_threads, data_source
from lpr_e2e.commands.check import check
from lpr_e2e.commands.starting import Start, add_start_options, letters_lacking, settings_of, stages_set, start_of
from lpr_e2e.common.errors import TrainingError, UserError
from lpr_e2e.common.interrupts import as_interrupt
from lpr_e2e.common.terminal import complain, say

if TYPE_CHECKING:
    from lpr_e2e.data.dataset import DataSource
    from lpr_e2e.data.samples import Dataset
    from lpr_e2e.training.distribution import Job
    from lpr_e2e.training.run_folder import RunFolder
    from lpr_e2e.training.settings import Settings

DEMO_DATA = Path("demo_data")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="folder with labels and pictures, or a label file; several are trained on together, with equal shares",
    )
    parser.add_argument("--check", action="store_true", help="report on the data to check.html, and train nothing")
    parser.add_argument("--fix", type=Path, metavar="DIR", help="with --check: write a cleaned copy of the data")
    parser.add_argument("--run", type=Path, metavar="DIR", help="folder of the new run, default runs/DATE-TIME")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--resume", type=Path, metavar="RUN", help="go on with this run, exactly where it stopped")
    add_start_options(parser, start)
    add_threads(parser)
    add_data_options(parser)


def run(options: argparse.Namespace) -> int:
    """Train; or check the data, if that is asked for."""
    from lpr_e2e.data.labels import LabelOptions

    labels = (one.name for one in fields(LabelOptions))
    new = ("exclude", "check", "fix", "preset", "set", "run", "seed", "characters", "font", *labels)
    named = [f"--{name.replace('_', '-')}" for name in new if getattr(options, name) not in (None, False)]
    if options.resume and named:
        raise UserError(
            f"--resume takes everything from the run folder, but for --data, if the data were moved; leave out "
            f"{', '.join(named)}"
        )
    if (options.check and not options.data) or (options.fix and not options.check):
        raise UserError("--check needs --data, and --fix needs --check")
    if options.check:
        if len(options.data) > 1:
            raise UserError("--check: is about one data set, and several are given; check one after the other")
        options.data = options.data[0]
        return check(options)
    return _train(options)


def _beginning(options: argparse.Namespace) -> tuple[Settings, Start]:
    """The settings, and what is started from, of options that are right as far as this can be told at once.

    It says what is started from, if nobody has named it.
    """
    from lpr_e2e.common.backend import TRAINING_BACKENDS, import_keras, require_backend
    from lpr_e2e.data.forms import require_source

    require_backend(TRAINING_BACKENDS, "training")
    settings = settings_of(options)
    for source in options.data or ():
        require_source(source)
    start = Start(None, "") if options.resume else start_of(options)
    if start.chosen:
        say(f"starts from {start.said}")
    import_keras()
    return settings, start


def _train(options: argparse.Namespace) -> int:
    """Start or resume the run that the options describe."""
    # Keras's backend takes seconds to import: wrong arguments are reported before.
    settings, start = _beginning(options)
    weights = start.weights

    from lpr_e2e.data.text_findings import unwritable
    from lpr_e2e.data.together import load_all
    from lpr_e2e.training import distribution
    from lpr_e2e.training.alphabet import with_letters
    from lpr_e2e.training.run_folder import RunFolder
    from lpr_e2e.training.trainer import Training, vocabulary_for

    job = distribution.join()
    distribution.keep_compiled()
    if job.processes > 1 and not (options.resume or options.run):
        raise TrainingError("several processes: need one run folder for all; name it with --run")
    folder = RunFolder(options.resume or options.run or Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S"))
    if not options.resume and job.chief:
        folder.refuse_filled()
    settings, source = _described(options, settings, folder)
    if not (options.resume or options.data) and job.chief:
        _draw_demo()
    job.agree()  # The demo set is drawn.
    dataset = load_all(source)
    missing = letters_lacking(options, settings, start, dataset)
    settings = with_letters(settings, missing)
    if job.chief:
        notes = [*map(str, missing), *unwritable(dataset, settings.characters)]
        say("\n".join([f"data: {source.named}", dataset.summary(), *notes]))
    if weights is not None:
        settings = _adapted(settings, dataset, weights, options, job)
    with folder.locked() if job.chief else contextlib.nullcontext():
        if options.resume:
            folder.check_split(dataset)
            weights = folder.weights_to_take()
            if options.data and job.chief:
                folder.note_source(source)
        elif job.chief:
            folder.start(settings, source, dataset, vocabulary_for(settings, dataset), weights)
        job.agree()
        if job.chief:
            say(f"run folder: {folder.path}  (watch it: tensorboard --logdir {folder.path})")
        else:  # Its machine may have other fonts, and so other letters that can be drawn.
            settings = folder.config()["settings"]
        try:
            with as_interrupt():
                figures = Training(settings, dataset, folder, weights=weights, job=job).run()
        except OSError as error:  # The disk is full, say.
            raise TrainingError(f"{error}; what was done is kept, go on with --resume {folder.path}") from error
        except KeyboardInterrupt:
            complain(f"\ninterrupted; go on with: {options.spelled('train')} --resume {folder.path}")
            return INTERRUPTED
    if figures is None:
        return 0
    say(f"\nheld-out photographs, photograph in, text out:\n{figures.table()}")
    example = source.path / "test" if (source.path / "test").is_dir() else "FOLDER"
    say(f"\nread photographs with it: {options.spelled('predict')} {example} --model {folder.path / 'best.keras'}")
    return 0


def _described(options: argparse.Namespace, settings: Settings, folder: RunFolder) -> tuple[Settings, DataSource]:
    """The settings and the data of the run: those of its folder, if it is to go on."""
    from lpr_e2e.data.dataset import DataSource

    if not options.resume:
        return settings, data_source(options, options.data or [DEMO_DATA], settings.seed)
    config = folder.config()
    settings = config["settings"]
    source = DataSource.from_config(config, settings.seed)
    return settings, source.moved(options.data) if options.data else source


def _adapted(settings: Settings, dataset: Dataset, weights: Path, options: argparse.Namespace, job: Job) -> Settings:
    """The settings with the steps that are needed from these weights; steps that were set stay."""
    from lpr_e2e.model.plate_model import load
    from lpr_e2e.training.start import share_read, with_steps_for

    read = job.agree(share_read(settings, dataset, load(weights)))
    settings = with_steps_for(settings, read, stages_set(options))
    if job.chief:
        say(
            f"the start reads {read:.0%} of the held-out plates at their known places; steps of the two stages: "
            f"{settings.recognition.steps} and {settings.joint.steps}"
        )
    return settings


def _draw_demo() -> None:
    """Draw the demo set into `demo_data/`, if it is not there yet."""
    from lpr_e2e.common.files import whole_folder
    from lpr_e2e.drawing.scenes import write_demo

    if not (DEMO_DATA / "SampleSubmission.csv").exists():
        say(f"no --data given: drawing a demo set into {DEMO_DATA}")
        with whole_folder(DEMO_DATA) as part:
            write_demo(part)
