"""How fast the forms of a model read, and RapidOCR beside them; every measurement in a process of its own."""

from __future__ import annotations

import functools
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lpr_e2e.experiments.processes import THREADS, command, peak_mb, process_ms, python
from lpr_e2e.prediction.models import megabytes

# Readings before the first one that is measured: of single photographs, and of a folder.
_WARM_UP, _WARM_UP_FOLDER = 3, 16
# What a measured process runs. RapidOCR's interpreter need not have this package.
_OURS = "from lpr_e2e.experiments.reading_speed import time_{what}; time_{what}({model!r}, {files!r})"
_RAPID = """
import json, statistics, time
from pathlib import Path
from rapidocr import RapidOCR
engine = RapidOCR(params={{"EngineConfig.onnxruntime.intra_op_num_threads": {threads}}})
files = Path({files!r}).read_text(encoding="utf-8").splitlines()
def one(path):
    started = time.perf_counter()
    engine(path)
    return 1000 * (time.perf_counter() - started)
for path in files[:{warm_up}]:
    one(path)
times = [one(path) for path in files]
print(json.dumps({{"single_ms": statistics.median(times), "folder_ms": statistics.mean(times)}}))
"""
_RAPID_COLD = "from rapidocr import RapidOCR; print(RapidOCR()({path!r}).txts)"


def time_single(model: str, files: str) -> None:
    """Read photographs one by one and print `single_ms`, the median milliseconds from file to text, and `peak_mb`.

    Args:
        model: what `PlateReader.load` takes.
        files: a file that names a photograph in each line.
    """
    reader, paths = _loaded(model, files)

    for path in paths[:_WARM_UP]:
        reader.read(path)
    single = statistics.median(_ms(functools.partial(reader.read, path)) for path in paths)
    print(json.dumps({"single_ms": single, "peak_mb": peak_mb()}))


def time_folder(model: str, files: str) -> None:
    """Read photographs as those of a folder and print `folder_ms`, milliseconds per photograph, and `peak_mb`.

    Args:
        model, files: as in `time_single`.
    """
    reader, paths = _loaded(model, files)
    named = [(path.name, path) for path in paths]
    for _ in reader.read_files(named[:_WARM_UP_FOLDER]):
        pass
    started = time.perf_counter()
    for _ in reader.read_files(named):
        pass
    print(json.dumps({"folder_ms": 1000 * (time.perf_counter() - started) / len(named), "peak_mb": peak_mb()}))


def time_floor(model: str, files: str) -> None:
    """Read photographs one by one and print where the time goes, as medians of milliseconds.

    The floor of a reading is what nobody can do without: decoding the file, as fast as OpenCV does it whole, and the
    two networks, as often as they were called.

    Args:
        model, files: as in `time_single`.

    Prints:
        `opencv_ms` and `decoding_ms`, to decode the file by OpenCV and as a reading does it; `find_ms` and `read_ms` in
        the two networks; `rest_ms`, all else; `whole_ms`; `floor_ms`; and `floor_ratio`, the whole by the floor, all of
        one photograph.
    """
    import cv2

    from lpr_e2e.common.images import read_picture

    reader, paths = _loaded(model, files)
    engine = _Timed(reader.driver.engine)
    reader.driver.engine = engine

    def one(path: Path) -> dict[str, float]:
        engine.ms = {"find": 0.0, "read": 0.0}
        found = {
            "opencv_ms": _ms(lambda: cv2.imread(str(path), cv2.IMREAD_COLOR)),
            "decoding_ms": _ms(lambda: read_picture(path)),
            "whole_ms": _ms(lambda: reader.read(path)),
        }
        networks = sum(engine.ms.values())
        found["floor_ms"] = found["opencv_ms"] + networks
        found["rest_ms"] = found["whole_ms"] - found["decoding_ms"] - networks
        found["floor_ratio"] = found["whole_ms"] / found["floor_ms"]
        return found | {f"{name}_ms": ms for name, ms in engine.ms.items()}

    for path in paths[:_WARM_UP]:
        one(path)
    all_of_them = [one(path) for path in paths]
    print(json.dumps({name: statistics.median(row[name] for row in all_of_them) for name in all_of_them[0]}))


class _Timed:
    """An engine that notes how many milliseconds its networks take, by name in `ms`."""

    def __init__(self, engine):
        self._engine = engine
        self.ms = {"find": 0.0, "read": 0.0}

    def find(self, scenes):
        """See `Engine.find`."""
        return self._run("find", scenes)

    def read(self, glimpses):
        """See `Engine.read`."""
        return self._run("read", glimpses)

    def _run(self, name: str, batch):
        started = time.perf_counter()
        answer = getattr(self._engine, name)(batch)
        self.ms[name] += 1000 * (time.perf_counter() - started)
        return answer


def _ms(work: Callable[[], object]) -> float:
    """Milliseconds that a piece of work takes."""
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def floors(models: dict[str, Path], photographs: list[Path]) -> dict[str, dict[str, float]]:
    """By name of the form what `time_floor` prints."""
    with tempfile.TemporaryDirectory() as temporary:
        files = Path(temporary) / "files"
        files.write_text("\n".join(map(str, photographs)), encoding="utf-8")
        return {name: _measured("floor", model, files) for name, model in models.items()}


def _measured(what: str, model: Path, files: Path) -> dict:
    """What `time_WHAT` prints, in a process of its own."""
    return python(sys.executable, _OURS.format(what=what, model=str(model), files=str(files)))


def _loaded(model: str, files: str):
    from lpr_e2e.prediction.reader import PlateReader

    reader = PlateReader.load(model, threads=THREADS)
    return reader, [Path(line) for line in Path(files).read_text(encoding="utf-8").splitlines()]


def reading(models: dict[str, Path], photographs: list[Path], many: int, runs: int) -> dict[str, dict]:
    """Times and memory of every form of the model.

    Args:
        models: by name, what `PlateReader.load` takes.
        photographs: the files to read.
        many: the larger number of photographs of the folder measurement; copies where there are fewer.
        runs: cold starts.

    Returns:
        by name: `single_ms` (warm, from file to text), `folder_ms` per photograph, `cold_ms` of `predict` on one
        photograph, `peak_mb` and `peak_mb_few` (a tenth of the photographs), None where the system does not tell, and
        `model_mb`.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        lists = {
            "single": photographs,
            "few": cycled(photographs, max(1, many // 10)),
            "many": cycled(photographs, many),
        }
        for name, files in lists.items():
            (folder / name).write_text("\n".join(map(str, files)), encoding="utf-8")
        return {name: _one_form(model, photographs[0], folder, runs) for name, model in models.items()}


def _one_form(model: Path, photograph: Path, folder: Path, runs: int) -> dict:
    """Times and memory of one form, by the lists of photographs in a folder, which also gets what is predicted."""

    cold = command("predict", str(photograph), "--model", str(model), "--threads", str(THREADS))
    cold += ["--no-report", "--no-pictures", "--output", str(folder / "cold")]
    single = _measured("single", model, folder / "single")
    few, all_of_them = (_measured("folder", model, folder / files) for files in ("few", "many"))
    return {
        "single_ms": single["single_ms"],
        "folder_ms": all_of_them["folder_ms"],
        "cold_ms": process_ms(cold, runs),
        "peak_mb": all_of_them["peak_mb"],
        "peak_mb_few": few["peak_mb"],
        "model_mb": megabytes(model),
    }


def rapidocr(interpreter: str, photographs: list[Path], runs: int) -> dict:
    """The same of RapidOCR with its default models, without memory and size."""
    with tempfile.TemporaryDirectory() as temporary:
        files = Path(temporary) / "files"
        files.write_text("\n".join(map(str, photographs)), encoding="utf-8")
        found = python(interpreter, _RAPID.format(threads=THREADS, files=str(files), warm_up=_WARM_UP))
    found["cold_ms"] = process_ms([interpreter, "-c", _RAPID_COLD.format(path=str(photographs[0]))], runs)
    return found


def exported_forms(exported: Path, folder: Path) -> dict[str, Path]:
    """Each form that an exported folder holds, alone in a folder, as `PlateReader.load` takes it.

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
                shutil.copyfile(path, forms[name] / path.name)  # Windows lets hardly anyone make links.
    return forms


def cycled(photographs: list[Path], count: int) -> list[Path]:
    """The photographs, over and over, until there are `count`."""
    return [photographs[index % len(photographs)] for index in range(count)]


def spread(photographs: list[Path], count: int) -> list[Path]:
    """Up to `count` of the photographs, evenly spaced: the first of a folder are seldom like the rest of it."""
    count = min(count, len(photographs))
    return [photographs[index * len(photographs) // count] for index in range(count)]
