"""Reading any number of photographs with Apache Beam, in local processes or on a cluster.

The photographs are listed once, sorted, and cut into shards. Each shard becomes one file of rows, which appears when it
is whole: what is interrupted goes on with the shards that are missing.

Reads with the exported form of a model; neither TensorFlow nor Keras is needed. `beam-requirements.txt` lists what is.
"""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils.shared import Shared

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import MOST_JSON, csv_lines, read_file
from lpr_e2e.common.images import MOST_BYTES, PictureError
from lpr_e2e.common.photographs import PICTURE_SUFFIXES, as_text
from lpr_e2e.common.terminal import complain
from lpr_e2e.prediction.description import FILE as DESCRIPTION
from lpr_e2e.prediction.engines.loading import load_drivers
from lpr_e2e.prediction.outputs import as_json
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.prediction.reading import COLUMNS, Reading

PLAN, PHOTOGRAPHS = "plan.json", "photographs.jsonl"
_UNREADABLE_COLUMNS = ("img_id", "status")


def find_photographs(pattern: str) -> list[tuple[str, str]]:
    """Pairs of img_id and path of all pictures that a folder or pattern stands for, sorted by path.

    Args:
        pattern: a folder, searched with all below it, or a pattern as Beam knows them: `*`, `**`, `?`, `[...]`.

    Returns:
        the img_id is the path below the last folder of the pattern that holds no wildcard.

    Raises:
        UserError: there is no picture.
    """
    wild = re.search(r"[*?\[]", pattern)
    root = pattern[: pattern.rfind("/", 0, wild.start()) + 1] if wild else pattern.rstrip("/") + "/"
    try:
        (match,) = FileSystems.match([pattern if wild else f"{root}**"])
    except BeamIOError as error:
        raise UserError(f"{pattern}: cannot be listed: {error}") from error
    found = []
    for path in sorted({one.path for one in match.metadata_list}):
        img_id = path.removeprefix(root)
        parts = PurePosixPath(img_id).parts
        if PurePosixPath(path).suffix.lower() in PICTURE_SUFFIXES and not any(part.startswith(".") for part in parts):
            found.append((as_text(img_id), path))
    if not found:
        raise UserError(f"{pattern}: no pictures (names ending in .jpg, .png and so on)")
    return found


def is_remote(path: str) -> bool:
    """Whether a path is one of Beam's other file systems, such as `gs://bucket/model`."""
    return FileSystems.get_scheme(path) is not None


def fingerprint(model: str) -> str | None:
    """What tells the weights of an exported model from others, as its export wrote it; None if it is older than that.

    Args:
        model: its folder, on any file system of Beam.
    """
    return json.loads(_read(f"{model.rstrip('/')}/{DESCRIPTION}", MOST_JSON)).get("model")


def _planned(output: str) -> tuple[dict, list[tuple[str, str]]]:
    """The settings and the photographs of the plan in an output folder.

    Raises:
        UserError: it is damaged, or no plan of ours.
    """
    try:
        settings = dict(json.loads(_read(f"{output}/{PLAN}", MOST_JSON)))
        lines = _read(f"{output}/{PHOTOGRAPHS}").decode().splitlines()
        photographs = [(str(img_id), str(path)) for img_id, path in map(json.loads, lines)]
    except (OSError, ValueError, TypeError, RecursionError) as error:  # BeamIOError is an OSError.
        raise UserError(
            f"{output}: {PLAN} or {PHOTOGRAPHS} is damaged, or no plan of this command ({error}); name another --output"
        ) from None
    return settings, photographs


class Batch:
    """What is to be read, and what of it has been read. It lies in the output folder and survives the process.

    Args:
        output: the folder of the results, on any file system of Beam.
        settings: what decides the results: `pattern`, `shard`, `form`, `model`, `format`, `precision`, and
            `weights`, see `fingerprint`.

    Raises:
        UserError: the folder holds results of other settings or of something else, its plan is damaged, or there is
            nothing to read.
    """

    def __init__(self, output: str, settings: dict):
        self.output, self.settings = output.rstrip("/"), settings
        plan = f"{self.output}/{PLAN}"
        if FileSystems.exists(plan):
            before, self.photographs = _planned(self.output)
            other = [name for name, value in settings.items() if before.get(name) != value]
            if other:
                raise UserError(
                    f"{self.output}: holds readings with {other[0]} {before.get(other[0])!r}, not "
                    f"{settings[other[0]]!r}; name another --output"
                )
        else:
            self._refuse_foreign()
            self.photographs = find_photographs(settings["pattern"])
            # The list first: a plan that exists has its list.
            lines = "".join(json.dumps(photograph) + "\n" for photograph in self.photographs)
            _write(f"{self.output}/{PHOTOGRAPHS}", lines.encode())
            _write(plan, json.dumps(settings, indent=2).encode())
        self.shards = -(-len(self.photographs) // settings["shard"])

    def _refuse_foreign(self) -> None:
        """Parts without a plan would count as read, and one that is somebody else's would stay among ours."""
        for match in FileSystems.match([f"{self.output}/{name}-*" for name in ("part", "unreadable")]):
            if match.metadata_list:
                raise UserError(
                    f"{match.metadata_list[0].path}: is there already, and there is no {PLAN} of this command; name "
                    "another --output"
                )

    def part(self, shard: int) -> str:
        """Where the rows of a shard go."""
        return f"{self.output}/part-{shard:05d}-of-{self.shards:05d}.{self.settings['form']}"

    def unreadable(self, shard: int) -> str:
        """Where the files of a shard go that could not be read."""
        return f"{self.output}/unreadable-{shard:05d}-of-{self.shards:05d}.csv"

    def missing(self) -> list[int]:
        """The shards that are left to read."""
        (match,) = FileSystems.match([f"{self.output}/part-*"])
        done = {PurePosixPath(one.path).name for one in match.metadata_list}
        return [shard for shard in range(self.shards) if PurePosixPath(self.part(shard)).name not in done]

    def task(self, shard: int) -> tuple[str, str, list[tuple[str, str]]]:
        """What `ReadShard` takes: the shard's part, its list of unreadable files, and its photographs."""
        size = self.settings["shard"]
        return self.part(shard), self.unreadable(shard), self.photographs[shard * size : (shard + 1) * size]

    def statuses(self) -> Counter:
        """How often each status stands in all parts, without the reasons; of the first row of each photograph."""
        counts: Counter = Counter()
        for shard in range(self.shards):
            seen = set()
            for row in _rows(_read(self.part(shard)).decode(), self.settings["form"]):
                if row["img_id"] not in seen:
                    counts[row["status"].split(":")[0]] += 1
                seen.add(row["img_id"])
        return counts


class ReadShard(beam.DoFn):
    """Reads the photographs of one shard and writes its files; gives the number of photographs.

    Args:
        model: folder of an exported model, on any file system of Beam; loaded once per process.
        format: see `lpr_e2e.prediction.format_rule`, or None.
        form: `csv` or `jsonl`.
        threads: of the model, in each process.
        precision: see `PlateReader`.
    """

    def __init__(self, model: str, format: str | None, form: str, threads: int, precision: float | None = None):
        self.model, self.format, self.form, self.threads, self.precision = model, format, form, threads, precision
        self.shared = Shared()

    def setup(self):
        self.reader = self.shared.acquire(self.load)

    def load(self) -> PlateReader:
        """The reader of a process; raises as `load_drivers` and `PlateReader` do."""
        with tempfile.TemporaryDirectory() as temporary:
            folder = self.model
            if is_remote(folder):
                (match,) = FileSystems.match([f"{folder.rstrip('/')}/*"])
                for one in match.metadata_list:
                    Path(temporary, PurePosixPath(one.path).name).write_bytes(_read(one.path))
                folder = temporary
            drivers = load_drivers(Path(folder), self.threads, 1)
            return PlateReader(drivers[0], self.format, lambda: drivers, self.precision)

    def process(self, shard: tuple[str, str, list[tuple[str, str]]]):
        part, unreadable, photographs = shard
        if FileSystems.exists(part):  # Another attempt at the same shard was faster.
            return
        rows, refused = [], []
        for img_id, _, readings in self.reader.read_files(_contents(photographs)):
            rows += [(img_id, reading) for reading in readings]
            if readings[0].status.startswith("unreadable"):
                refused.append((img_id, readings[0].status))
        if refused:
            _write(unreadable, _table([_UNREADABLE_COLUMNS, *refused]))
        _write(part, _lines(rows, self.form))
        yield len(photographs)


def _contents(photographs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, Path | bytes | PictureError]]:
    """img_ids and their files on this machine, which the reader opens as those of `predict`: pipes, say, it does not;
    else the bytes of their files. A file that is away is named, other errors are for the runner to retry."""
    for img_id, path in photographs:
        try:
            yield img_id, _read(path, MOST_BYTES + 1) if is_remote(path) else Path(path)
        except FileNotFoundError:
            yield img_id, PictureError("missing file")
        except PermissionError as error:
            yield img_id, PictureError(f"unreadable ({error})")


def _lines(rows: Sequence[tuple[str, Reading]], form: str) -> bytes:
    if form == "jsonl":
        text = "".join(as_json(img_id, reading) + "\n" for img_id, reading in rows)
        return text.encode("utf-8", "backslashreplace")
    return _table([COLUMNS, *(reading.row() for _, reading in rows)])


def _table(rows: Iterable[Sequence]) -> bytes:
    return csv_lines(rows).encode("utf-8", "backslashreplace")


def _rows(text: str, form: str) -> Iterator[dict]:
    if form == "jsonl":
        return map(json.loads, text.splitlines())
    return csv.DictReader(io.StringIO(text, newline=""))


def _read(path: str, most: int = MOST_BYTES) -> bytes:
    """What a file holds, of one that is away so many bytes at most.

    Raises:
        OSError: one on this machine is a pipe or a device, or larger.
    """
    if not is_remote(path):
        return read_file(Path(path), most)
    with FileSystems.open(path, compression_type=beam.io.filesystem.CompressionTypes.UNCOMPRESSED) as file:
        return file.read(most)


def _write(path: str, data: bytes) -> None:
    """Write a file, whole or not at all."""
    folder, name = path.rsplit("/", 1)
    if not FileSystems.exists(folder):
        FileSystems.mkdirs(folder)
    temporary = f"{folder}/.{name}.{uuid.uuid4().hex}"
    with FileSystems.create(temporary, compression_type=beam.io.filesystem.CompressionTypes.UNCOMPRESSED) as file:
        file.write(data)
    FileSystems.rename([temporary], [path])


def read_shards(batch: Batch, shards: Sequence[int], read_shard: ReadShard, beam_options: Sequence[str]) -> None:
    """Read some shards in one pipeline; what goes wrong is said, what was read is whole.

    Args:
        batch: what is to be read.
        shards: which shards of it.
        read_shard: reads one.
        beam_options: Beam's own, `--runner` and so on.
    """
    try:
        with beam.Pipeline(options=PipelineOptions(list(beam_options))) as pipeline:
            tasks = pipeline | "shards" >> beam.Create([batch.task(shard) for shard in shards])
            _ = tasks | "spread" >> beam.Reshuffle() | "read" >> beam.ParDo(read_shard)
    except Exception as error:  # Runners raise many kinds.
        reason = (str(error).splitlines() or [""])[0]
        complain(f"{type(error).__name__}: {reason[:300]}")


def read_in_processes(shards: Sequence[int], count: int, command: Callable[[list[int]], list[str]]) -> None:
    """Read some shards in local processes, each with an equal share of them; return when all have ended.

    Beam's runner with several processes waits for ever for one that was killed. Here the others go on.

    Args:
        shards: which shards.
        count: the most processes.
        command: gives what starts a process for a share.
    """
    processes = []
    try:
        for share in filter(None, (list(shards[index::count]) for index in range(count))):
            processes.append(subprocess.Popen(command(share)))
        for process in processes:
            process.wait()
    finally:
        for process in processes:
            process.terminate()  # Does nothing to one that has ended.
            process.wait()
