"""How fast training is, how well another format is learned, and the measurements as people read them."""

from __future__ import annotations

import itertools
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import read_json
from lpr_e2e.experiments.processes import THREADS, environment, figures_of, resumed, train

# Plates of another format: letters and digits in other places, all of one length, most of them dark on light.
OTHER_FORMAT = ("AB12CDE", "FG34HJK", "LM56NPR", "ST78UVW", "XY90ZAB")


def training(data: Path, exclude: Path | None, rounds: int, steps: int) -> dict[str, dict[str, float]]:
    """Seconds per step of both stages, from the input pipeline and from one batch over and over.

    Args:
        data, exclude: as for `train.py`.
        rounds: how often each of the two is measured, in turns; medians of the rounds are given.
        steps: measured steps of a round, after five that are not.
    """
    os.environ.update(environment(THREADS))
    import keras

    from lpr_e2e.data.dataset import load_dataset
    from lpr_e2e.training.loader import BatchLoader
    from lpr_e2e.training.recipe import BatchPlan
    from lpr_e2e.training.run_folder import RunFolder
    from lpr_e2e.training.settings import DECIDING, PRESETS
    from lpr_e2e.training.tasks import task_of
    from lpr_e2e.training.trainer import COMPILED, Training

    settings = PRESETS["standard"]
    with tempfile.TemporaryDirectory() as temporary:
        run = Training(settings, load_dataset(data, exclude=exclude), RunFolder(temporary), say=lambda line: None)
        model = run.replicas.own
        tasks = [task_of(stage, model, settings) for stage in DECIDING]
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

    Raises:
        UserError: the run that is there has other steps.
    """
    from lpr_e2e.drawing.scenes import write_demo
    from lpr_e2e.experiments.ablation import scaled
    from lpr_e2e.training.settings import PRESETS

    data, run = folder / "data", folder / "run"
    if not data.exists():
        drawing = Path(f"{data}.part")
        shutil.rmtree(drawing, ignore_errors=True)
        # Many held out: what precision can be promised, and from which certainty on, depends on their number.
        write_demo(drawing, photographs=900, crops=900, validation=450, like=OTHER_FORMAT)
        drawing.rename(data)
    settings = scaled(PRESETS["standard"], effort)
    steps = {"recognition.steps": settings.recognition.steps, "joint.steps": settings.joint.steps}
    if (run / "config.json").exists():
        try:
            before = read_json(run / "config.json")["settings"]
            same = [before["recognition"]["steps"], before["joint"]["steps"]] == [*steps.values()]
        except (OSError, ValueError, TypeError, KeyError):
            same = False
        if not same:
            raise UserError(f"{run}: was trained with another effort than {effort:g}; remove it to train anew")
    if not (run / "figures.json").exists():
        sets = [part for name, count in steps.items() for part in ("--set", f"{name}={count}")]
        start = ["--data", str(data), "--preset", "standard", "--run", str(run), *sets]
        train(resumed(run, start))
    return figures_of(run)


def table(found: dict) -> str:
    """The measurements for people, with their ratios."""
    base = found.get("RapidOCR")
    readers = {name: row for name, row in found.items() if name not in ("training", "other format", "floor")}
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
    for name, row in found.get("floor", {}).items():
        lines.append(
            f"{name}: decoding {row['decoding_ms']:.1f} ms (OpenCV {row['opencv_ms']:.1f}), "
            f"finding {row['find_ms']:.1f}, reading {row['read_ms']:.1f}, all else {row['rest_ms']:.1f}; "
            f"whole {row['whole_ms']:.1f}, {row['floor_ratio']:.2f} times its floor"
        )
    for stage, row in found.get("training", {}).items():
        share = row["constant_s"] / row["pipeline_s"]
        lines.append(f"training, {stage}: {row['pipeline_s']:.3f} s a step, {share:.0%} of a constant batch's speed")
    if "other format" in found:
        row = found["other format"]
        lines.append(f"another format: {row['plates_right']:.1%} of {row['photographs']} plates right")
    return "\n".join(lines)
