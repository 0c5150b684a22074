"""Train a licence-plate reader.

    python train.py                                    draw a small demo set, train on it, show the result
    python train.py --data DIR --check                 what is in this data, and what is wrong with it?
    python train.py --data DIR                         train on your photographs and crops
    python train.py --data DIR --exclude rows.csv      leave rows of the crops' CSV out
    python train.py --resume runs/NAME                 go on with an interrupted run
    python train.py --data DIR --weights model.keras   a new run that starts from another model's weights
    tensorboard --logdir runs                          watch it

README.md says what DIR holds and what a run leaves in its folder.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from datetime import datetime
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from lpr_e2e.common.terminal import say  # noqa: E402

DEMO_DATA = Path("demo_data")


def main(arguments: list[str] | None = None) -> int:
    """Parse, train, print. Returns the exit code: 0 done, 1 faults found by --check, 2 wrong input, 130 interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with two picture folders and their CSV files")
    parser.add_argument("--exclude", type=Path, metavar="CSV", help="img_ids of crops to leave out")
    parser.add_argument("--check", action="store_true", help="report on the data to check.html, and train nothing")
    parser.add_argument("--fix", type=Path, metavar="DIR", help="with --check: write a cleaned copy of the data")
    parser.add_argument("--preset", choices=("standard", "small"), help="default: standard, for the demo small")
    parser.add_argument(
        "--set", action="append", metavar="NAME=VALUE", help="another value for a setting, such as joint.steps=500"
    )
    parser.add_argument("--run", type=Path, metavar="DIR", help="folder of the new run, default runs/DATE-TIME")
    parser.add_argument("--seed", type=int, help="of weights, batches and a drawn split, default 0")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--resume", type=Path, metavar="RUN", help="go on with this run, exactly where it stopped")
    start.add_argument("--weights", type=Path, metavar="MODEL", help="start a new run from these weights")
    options = parser.parse_args(arguments)
    others = {name: value for name, value in vars(options).items() if name not in ("resume", "weights")}
    if options.resume and any(value is not None and value is not False for value in others.values()):
        parser.error(f"--resume takes everything from the run folder; leave out --{', --'.join(others)}")

    if (options.check and not options.data) or (options.fix and not options.check):
        parser.error("--check needs --data, and --fix needs --check")
    if options.check:
        from lpr_e2e.commands import check

        parser = argparse.ArgumentParser()
        check.add_arguments(parser)
        given = (("--exclude", options.exclude), ("--fix", options.fix))
        asked = [str(options.data), *(part for name, path in given if path for part in (name, str(path)))]
        try:
            return check.run(parser.parse_args(asked))
        except (ValueError, OSError) as error:
            say(f"train.py: {error}", file=sys.stderr)
            return 2

    # TensorFlow takes seconds to import: wrong arguments are reported before.
    from lpr_e2e.common.errors import TrainingError
    from lpr_e2e.data.tables import DatasetError
    from lpr_e2e.training.run_folder import RunError

    try:
        return train(options)
    except (DatasetError, RunError, TrainingError, OSError) as error:
        say(f"train.py: {error}", file=sys.stderr)
        return 2


def train(options: argparse.Namespace) -> int:
    """Start or resume the run that the options describe."""
    from dataclasses import replace

    from lpr_e2e.common.errors import TrainingError
    from lpr_e2e.data.dataset import load_dataset
    from lpr_e2e.training import distribution
    from lpr_e2e.training.run_folder import RunFolder
    from lpr_e2e.training.settings import PRESETS
    from lpr_e2e.training.trainer import Training, training_vocabulary

    job = distribution.join()
    if job.processes > 1 and not (options.resume or options.run):
        raise TrainingError("several processes: need one run folder for all; name it with --run")
    if options.resume:
        folder = RunFolder(options.resume)
        config = folder.config()
        settings, data = config["settings"], Path(config["data"])
        exclude = Path(config["exclude"]) if config["exclude"] else None
    else:
        folder = RunFolder(options.run or Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S"))
        preset = options.preset or ("standard" if options.data else "small")
        try:
            settings = PRESETS[preset].changed(options.set or [])
        except ValueError as error:
            say(f"train.py: --set: {error}", file=sys.stderr)
            return 2
        data, exclude = options.data, options.exclude
        if options.seed is not None:
            settings = replace(settings, seed=options.seed)
        if data is None:
            data = draw_demo() if job.chief else DEMO_DATA
    job.agree()  # The demo set is drawn.
    dataset = load_dataset(data, exclude=exclude, seed=settings.seed)
    if job.chief:
        say(f"data: {data}\n{dataset.summary()}")
    with folder.locked() if job.chief else contextlib.nullcontext():
        if options.resume:
            folder.check_split(dataset)
        elif job.chief:
            folder.start(settings, data, exclude, dataset, training_vocabulary(dataset))
        job.agree()
        if job.chief:
            say(f"run folder: {folder.path}  (watch it: tensorboard --logdir {folder.path})")
        try:
            figures = Training(settings, dataset, folder, weights=options.weights, job=job).run()
        except OSError as error:  # The disk is full, say.
            raise TrainingError(f"{error}\nwhat was done is kept; go on with --resume {folder.path}") from error
        except KeyboardInterrupt:
            say(f"\ninterrupted; go on with: python train.py --resume {folder.path}", file=sys.stderr)
            return 130
    if figures is None:
        return 0
    say(f"\nheld-out photographs, photograph in, text out:\n{figures.table()}")
    test = data / "test"
    example = test if test.is_dir() else "FOLDER"
    say(f"\nread photographs with it: python predict.py {example} --model {folder.path / 'best.keras'}")
    return 0


def draw_demo() -> Path:
    """The demo set, drawn on first use into `demo_data/`."""
    from lpr_e2e.drawing.scenes import write_demo

    if not (DEMO_DATA / "SampleSubmission.csv").exists():
        say(f"no --data given: drawing a demo set into {DEMO_DATA}")
        write_demo(DEMO_DATA)
    return DEMO_DATA


if __name__ == "__main__":
    sys.exit(main())
