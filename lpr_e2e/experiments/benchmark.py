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
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
THREADS = 2
# Plates of another format: letters and digits in other places, all of one length, most of them dark on light.
OTHER_FORMAT = ("AB12CDE", "FG34HJK", "LM56NPR", "ST78UVW", "XY90ZAB")
# Reads photographs one by one; prints the median milliseconds, then that of the first half of them in batches.
_READ = """
import json, resource, statistics, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from lpr_e2e.prediction.reader import PlateReader
reader = PlateReader.load({model!r})
files = [Path(line) for line in Path({files!r}).read_text().splitlines()]
def one(path):
    started = time.perf_counter()
    reader.read(path)
    return 1000 * (time.perf_counter() - started)
result = {{}}
if {single}:
    for path in files[:3]:
        one(path)
    result["single_ms"] = statistics.median(one(path) for path in files)
else:
    named = [(path.name, path) for path in files]
    for _ in reader.read_files(named[:16]):
        pass
    started = time.perf_counter()
    for _ in reader.read_files(named):
        pass
    result["folder_ms"] = 1000 * (time.perf_counter() - started) / len(files)
result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(result))
"""
_RAPID = """
import json, statistics, sys, time
from pathlib import Path
from rapidocr import RapidOCR
engine = RapidOCR(params={{"EngineConfig.onnxruntime.intra_op_num_threads": {threads}}})
files = Path({files!r}).read_text().splitlines()
def one(path):
    started = time.perf_counter()
    engine(path)
    return 1000 * (time.perf_counter() - started)
for path in files[:3]:
    one(path)
times = [one(path) for path in files]
print(json.dumps({{"single_ms": statistics.median(times), "folder_ms": statistics.mean(times)}}))
"""
_RAPID_COLD = "from rapidocr import RapidOCR; print(RapidOCR()({path!r}).txts)"


def python(interpreter: str, script: str) -> dict:
    """Run a script in a process of its own and return the JSON of its last line."""
    done = subprocess.run([interpreter, "-c", script], capture_output=True, text=True, env=environment())
    if done.returncode:
        raise RuntimeError(f"{interpreter}: {done.stderr.strip().splitlines()[-1] if done.stderr else 'failed'}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def environment() -> dict[str, str]:
    """The environment of a measured process: two threads wherever a library asks for their number."""
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "OPENBLAS_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(names, str(THREADS)), "TF_CPP_MIN_LOG_LEVEL": "3"}


def process_ms(command: Sequence[str], runs: int) -> float:
    """Median milliseconds of a whole process, the first run left out: it fills the disk's cache."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=environment(), cwd=ROOT)
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times[1:])


def reading(models: dict[str, Path], photographs: list[Path], many: int, runs: int) -> dict[str, dict]:
    """Times and memory of every form of the model.

    Args:
        models: by name, what `PlateReader.load` takes.
        photographs: the files to read.
        many: the larger number of photographs of the folder measurement; copies where there are fewer.
        runs: cold starts.

    Returns:
        by name: `single_ms` (warm, from file to text), `folder_ms` per photograph, `cold_ms` of `predict.py` on one
        photograph, `peak_mb` and `peak_mb_few` (a tenth of the photographs), `model_mb`.
    """
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        lists = {"single": photographs, "few": cycled(photographs, many // 10), "many": cycled(photographs, many)}
        for name, files in lists.items():
            (folder / name).write_text("\n".join(map(str, files)), encoding="utf-8")
        for name, model in models.items():

            def measured(files: str, model: Path = model) -> dict:
                values = {"root": str(ROOT), "model": str(model), "files": str(folder / files)}
                return python(sys.executable, _READ.format(**values, single=files == "single"))

            command = [sys.executable, "predict.py", str(photographs[0]), "--model", str(model), "--no-report"]
            command += ["--no-pictures", "--output", str(folder / "cold")]
            single, few, all_of_them = measured("single"), measured("few"), measured("many")
            found[name] = {
                "single_ms": single["single_ms"],
                "folder_ms": all_of_them["folder_ms"],
                "cold_ms": process_ms(command, runs),
                "peak_mb": all_of_them["peak_mb"],
                "peak_mb_few": few["peak_mb"],
                "model_mb": size_mb(model),
            }
    return found


def exported_forms(exported: Path, folder: Path) -> dict[str, Path]:
    """Each form that an exported folder holds, alone in a folder of links, as `PlateReader.load` takes it.

    Args:
        exported: what `lpr_e2e.export` wrote; it may be missing.
        folder: an existing folder, in which those of the forms are made.

    Returns:
        the forms' folders by name.
    """
    from lpr_e2e.prediction import description
    from lpr_e2e.prediction.engines.loading import FORMS

    forms = {}
    for name, (files, *_) in FORMS.items():
        paths = [exported / file for file in (description.FILE, *files)]
        if all(path.exists() for path in paths):
            forms[name] = folder / name
            forms[name].mkdir()
            for path in paths:
                (forms[name] / path.name).symlink_to(path.resolve())
    return forms


def cycled(photographs: list[Path], count: int) -> list[Path]:
    """The photographs, over and over, until there are `count`."""
    return [photographs[index % len(photographs)] for index in range(count)]


def spread(photographs: list[Path], count: int) -> list[Path]:
    """Up to `count` of the photographs, evenly spaced: the first of a folder are seldom like the rest of it."""
    count = min(count, len(photographs))
    return [photographs[index * len(photographs) // count] for index in range(count)]


def size_mb(model: Path) -> float:
    """Size of a model's file, or of the files in its folder, in millions of bytes."""
    files = [model] if model.is_file() else [path for path in model.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files) / 1e6


def rapidocr(interpreter: str, photographs: list[Path], runs: int) -> dict:
    """The same of RapidOCR with its default models."""
    with tempfile.TemporaryDirectory() as temporary:
        files = Path(temporary) / "files"
        files.write_text("\n".join(map(str, photographs)), encoding="utf-8")
        found = python(interpreter, _RAPID.format(threads=THREADS, files=str(files)))
    found["cold_ms"] = process_ms([interpreter, "-c", _RAPID_COLD.format(path=str(photographs[0]))], runs)
    return found


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
    from lpr_e2e.training.batches import batches
    from lpr_e2e.training.run_folder import RunFolder
    from lpr_e2e.training.settings import PRESETS
    from lpr_e2e.training.tasks import JointStage, RecognitionStage
    from lpr_e2e.training.trainer import COMPILED, Training

    settings = PRESETS["standard"]
    with tempfile.TemporaryDirectory() as temporary:
        run = Training(settings, load_dataset(data, exclude=exclude), RunFolder(temporary), say=lambda line: None)
        stages = {
            "recognition": (RecognitionStage(run.model), settings.recognition),
            "joint": (JointStage(run.model, settings.crop_gradient, settings.reading_weight), settings.joint),
        }
        # A training decodes every picture once; that is over after a hundredth of its steps.
        for one in [*run.maker.photographs, *run.maker.crops]:
            run.maker.cache.read(one.path)
        found = {}
        for name, (task, stage) in stages.items():
            make: Callable[[int], dict] = run.make(name, stage)
            task.compile(optimizer=keras.optimizers.AdamW(1e-4, use_ema=True), jit_compile=COMPILED)
            constant = {key: keras.ops.convert_to_tensor(value) for key, value in make(0).items()}
            task.train_on_batch(constant)  # Compiles it.
            seconds: dict[str, list[float]] = {"constant_s": [], "pipeline_s": []}
            for start in range(0, rounds * (steps + 5), steps + 5):
                seconds["constant_s"].append(_step_seconds(task, itertools.repeat(constant, steps + 5)))
                # The pipeline makes batches ahead: one that ended with the last step would rest before.
                stream = iter(batches(make, start, start + 2 * steps + 5, []))
                seconds["pipeline_s"].append(_step_seconds(task, itertools.islice(stream, steps + 5)))
                del stream  # What it still makes is over within the five steps.
            found[name] = {source: statistics.median(times) for source, times in seconds.items()}
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
        cells += [f"{row['peak_mb']:.0f} MB", f"{row['model_mb']:.2f} MB"] if "peak_mb" in row else ["", ""]
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
                peer = shutil.which(options.rapidocr) or options.rapidocr
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
