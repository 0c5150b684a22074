"""How fast reading and training are, measured in one run, as ratios.

    python -m lpr_e2e benchmark FOLDER                       all forms of the model on these photographs
    python -m lpr_e2e benchmark FOLDER --rapidocr PYTHON     beside RapidOCR, which that interpreter can import
    python -m lpr_e2e benchmark FOLDER --data DIR            also training, against a constant batch
    python -m lpr_e2e benchmark --other-format 0.4           how well plates of another format are learned, nothing else

Every process gets two threads. Times are medians; a machine that does other things at the same time disturbs all of
them, so compare within one run. RapidOCR is installed into an environment of its own:

    python3 -m venv rapid && rapid/bin/pip install rapidocr onnxruntime
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from lpr_e2e.experiments.processes import ROOT, environment
from lpr_e2e.experiments.reading_speed import exported_forms, rapidocr, reading, spread

# Plates of another format: letters and digits in other places, all of one length, most of them dark on light.
OTHER_FORMAT = ("AB12CDE", "FG34HJK", "LM56NPR", "ST78UVW", "XY90ZAB")


def training(data: Path, exclude: Path | None, rounds: int, steps: int) -> dict[str, dict[str, float]]:
    """Seconds per step of both stages, from the input pipeline and from one batch over and over.

    Args:
        data, exclude: as for `train.py`.
        rounds: how often each of the two is measured, in turns; medians of the rounds are given.
        steps: measured steps of a round, after five that are not.
    """
    os.environ.update(environment())
    import keras

    from lpr_e2e.data.dataset import load_dataset
    from lpr_e2e.training.loader import BatchLoader
    from lpr_e2e.training.recipe import BatchPlan
    from lpr_e2e.training.run_folder import RunFolder
    from lpr_e2e.training.settings import PRESETS
    from lpr_e2e.training.tasks import JointTask, RecognitionTask
    from lpr_e2e.training.trainer import COMPILED, Training

    settings = PRESETS["standard"]
    with tempfile.TemporaryDirectory() as temporary:
        run = Training(settings, load_dataset(data, exclude=exclude), RunFolder(temporary), say=lambda line: None)
        model = run.replicas.own
        tasks = (RecognitionTask(model), JointTask(model, settings.crop_gradient, settings.reading_weight))
        # A training decodes every picture once; that is over after a hundredth of its steps, and is not measured.
        before = len(run.dataset.photographs) // settings.joint.photographs
        found = {}
        for task in tasks:
            plan = BatchPlan.of(settings, task.name)
            example = plan.batch(run.maker, 0)
            task.compile(optimizer=keras.optimizers.AdamW(1e-4, use_ema=True), jit_compile=COMPILED)
            constant = {key: keras.ops.convert_to_tensor(value) for key, value in example.items()}
            task.train_on_batch(constant)  # Compiles it.
            seconds: dict[str, list[float]] = {"constant_s": [], "pipeline_s": []}
            with BatchLoader(run.recipe, plan, example, 0, before + rounds * (steps + 5)) as loader:
                made = (batch for (batch,) in loader.batches())
                for _ in itertools.islice(made, before):
                    pass
                for _ in range(rounds):
                    # By the end of the constant batches the workers have made as many ahead as they may, and rest.
                    seconds["constant_s"].append(_step_seconds(task, itertools.repeat(constant, steps + 5)))
                    seconds["pipeline_s"].append(_step_seconds(task, itertools.islice(made, steps + 5)))
            found[task.name] = {source: statistics.median(times) for source, times in seconds.items()}
    return found


def _step_seconds(task, stream: Iterable[dict]) -> float:
    """Mean seconds of a training step on these batches, the first five left out."""
    import keras

    times = []
    for batch in stream:
        times.append(time.perf_counter())
        task.train_on_batch({key: keras.ops.convert_to_tensor(value) for key, value in batch.items()})
    times.append(time.perf_counter())
    return (times[-1] - times[5]) / (len(times) - 6)


def other_format(effort: float, folder: Path) -> dict:
    """Train the preset for real photographs on a drawn data set of `OTHER_FORMAT`.

    Args:
        effort: share of the preset's steps.
        folder: gets the data and the run; what is there of them is taken, an interrupted training goes on.

    Returns:
        the run's `figures.json`.
    """
    from lpr_e2e.drawing.scenes import write_demo
    from lpr_e2e.experiments.ablation import scaled
    from lpr_e2e.training.settings import PRESETS

    data, run = folder / "data", folder / "run"
    if not data.exists():
        drawing = Path(f"{data}.part")
        shutil.rmtree(drawing, ignore_errors=True)
        write_demo(drawing, photographs=600, crops=900, validation=150, like=OTHER_FORMAT)
        drawing.rename(data)
    if not (run / "figures.json").exists():
        settings = scaled(PRESETS["standard"], effort)
        steps = {"recognition.steps": settings.recognition.steps, "joint.steps": settings.joint.steps}
        sets = [part for name, count in steps.items() for part in ("--set", f"{name}={count}")]
        start = ["--data", str(data), "--preset", "standard", "--run", str(run), *sets]
        arguments = ["--resume", str(run)] if (run / "state.npz").exists() else start
        subprocess.run([sys.executable, str(ROOT / "train.py"), *arguments], check=True)
    return json.loads((run / "figures.json").read_text(encoding="utf-8"))


def table(found: dict) -> str:
    """The measurements for people, with their ratios."""
    base = found.get("RapidOCR")
    readers = {name: row for name, row in found.items() if name not in ("training", "other format")}
    lines = []
    if readers:
        lines.append(f"{'':<12}{'one, warm':>12}{'one, cold':>12}{'folder':>12}{'memory':>10}{'file':>10}")
    for name, row in readers.items():
        cells = [f"{row[key]:.1f} ms" for key in ("single_ms", "cold_ms", "folder_ms")]
        cells += [
            f"{row[key]:{form}} MB" if row.get(key) else "" for key, form in (("peak_mb", ".0f"), ("model_mb", ".2f"))
        ]
        lines.append(f"{name:<12}{cells[0]:>12}{cells[1]:>12}{cells[2]:>12}{cells[3]:>10}{cells[4]:>10}")
        if base and row is not base:
            ratios = [f"1/{base[key] / row[key]:.1f}" for key in ("single_ms", "cold_ms", "folder_ms")]
            lines.append(f"{'  of RapidOCR':<12}{ratios[0]:>11}{ratios[1]:>12}{ratios[2]:>12}")
    for stage, row in found.get("training", {}).items():
        share = row["constant_s"] / row["pipeline_s"]
        lines.append(f"training, {stage}: {row['pipeline_s']:.3f} s a step, {share:.0%} of a constant batch's speed")
    if "other format" in found:
        row = found["other format"]
        lines.append(f"another format: {row['plates_right']:.1%} of {row['photographs']} plates right")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns 0, or 2 for wrong input."""
    from lpr_e2e.common.photographs import find_photographs
    from lpr_e2e.prediction.reader import DEFAULT_MODEL, EXPORTED_MODEL

    parser = argparse.ArgumentParser(
        prog="python -m lpr_e2e benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", nargs="?", metavar="FOLDER")
    parser.add_argument("--keras", type=Path, default=DEFAULT_MODEL, metavar="FILE", help="the .keras file")
    parser.add_argument("--exported", type=Path, default=EXPORTED_MODEL, metavar="DIR", help="its exported forms")
    parser.add_argument("--rapidocr", metavar="PYTHON", help="an interpreter that has RapidOCR")
    parser.add_argument("--data", type=Path, metavar="DIR", help="also measure training on this data")
    parser.add_argument("--exclude", type=Path, metavar="CSV", help="with --data, as for train.py")
    parser.add_argument(
        "--other-format",
        type=float,
        metavar="EFFORT",
        help="train on drawn plates of another format, with this share of the preset's steps, in runs/other-format",
    )
    parser.add_argument("--single", type=int, default=60, metavar="N", help="photographs read one by one, default 60")
    parser.add_argument(
        "--many", type=int, default=2000, metavar="N", help="photographs read as a folder, default 2000"
    )
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="cold starts, default 3")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the measurements as JSON")
    options = parser.parse_args(arguments)
    if options.other_format is None and not options.photographs:
        parser.error("expected a FOLDER of photographs, or --other-format EFFORT")
    found = {}
    try:
        if options.other_format is not None:
            found["other format"] = other_format(options.other_format, Path("runs") / "other-format")
        if options.photographs:
            named = find_photographs([options.photographs])
            photographs = spread([Path(path).resolve() for _, path in named], options.single)
            if options.rapidocr:
                # Absolute, because measured processes run elsewhere; a link to an interpreter is left alone.
                peer = os.path.abspath(shutil.which(options.rapidocr) or options.rapidocr)
                found["RapidOCR"] = rapidocr(peer, photographs, options.runs)
            with tempfile.TemporaryDirectory() as temporary:
                models = {"Keras": options.keras.resolve()} if options.keras.exists() else {}
                models |= exported_forms(options.exported, Path(temporary))
                found |= reading(models, photographs, options.many, options.runs)
        if options.data:
            found["training"] = training(options.data, options.exclude, rounds=5, steps=20)
    except (ValueError, OSError, RuntimeError, subprocess.CalledProcessError) as error:
        print(f"lpr_e2e benchmark: {error}", file=sys.stderr)
        return 2
    print(table(found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
