"""Attacks every reader of foreign bytes: damage that is guided by what it makes the program run, or damage at random.

    python tests/attack.py [READER ...] [--minutes N] [--corpus FOLDER] [--seed N] [--runs N]
    python tests/attack.py [READER ...] --damages N [--seed N]     at random
    python tests/attack.py READER --repeat FILE                    one input again
    python tests/attack.py --list

Guided, it needs atheris. Inputs that reach something new are kept in the corpus, with which the next attack begins.
Every answer that is not allowed is a find: it is kept in `finds` of the corpus, with the command that repeats it, and
the attack goes on. It ends with exit code 1 if there was one.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# No input may take longer, in seconds, nor bring the process to more memory, in MB.
MOST_SECONDS, MOST_MB = 20, 3072
# By the clock, whatever else the machine does.
_MOST_WAITING = 10 * MOST_SECONDS
# Larger inputs are not made: what is special shows in small ones.
_MOST_BYTES = 1 << 16
# A process that ended by itself this often in a row has no chance.
_MOST_RESTARTS = 50
# What guides it: this package, and what is written in Python among what it reads files with.
_GUIDES = ["lpr_e2e", "PIL", "zipfile", "python_multipart", "yaml", "numpy.lib._format_impl", "keras.src.saving"]


@dataclass
class Outcome:
    """What an attack on one reader came to."""

    reader: str
    executions: int = 0
    coverage: int = 0
    kept: int = 0
    finds: list[Path] = field(default_factory=list)

    def row(self) -> str:
        """A line of the table."""
        return f"{self.reader:<24}{self.executions:>12,}{self.coverage:>10,}{self.kept:>8,}{len(self.finds):>7}"


class Attempt:
    """Gives inputs to readers, and keeps those that they do not answer as they may.

    Args:
        readers: where there are several, the first byte of an input says which one it is for.
        finds: the folder of what is kept.
    """

    def __init__(self, readers: Sequence, finds: Path):
        self._readers, self._finds = readers, finds
        self._folder = Path(tempfile.mkdtemp(prefix="attack-"))
        self._seen: set[str] = set()
        self.executions = 0

    def seeds(self) -> Iterator[bytes]:
        """Inputs to begin with."""
        for index, reader in enumerate(self._readers):
            for seed in reader.seeds():
                yield seed if len(self._readers) == 1 else bytes([index]) + seed

    def give(self, data: bytes, timed: bool = True) -> None:
        """Give an input to the reader that it is for; and keep it, too, if it takes too long, where that is asked."""
        self.executions += 1
        reader = self._readers[data[0] % len(self._readers)] if data and len(self._readers) > 1 else self._readers[0]
        data = data if len(self._readers) == 1 else data[1:]
        folder = self._folder / reader.name
        folder.mkdir(exist_ok=True)
        before = time.process_time()  # On a busy machine, everything takes long by the clock.
        try:
            reader.check(data, folder)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._keep(reader.name, data, error)
        if timed and time.process_time() - before > MOST_SECONDS:
            self._keep(reader.name, data, TimeoutError(f"took more than {MOST_SECONDS} seconds"))
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > MOST_MB * 1024:
            self._keep(reader.name, data, MemoryError(f"took more than {MOST_MB} MB"))
            os._exit(1)  # From here on it would be true of every input.

    def _keep(self, reader: str, data: bytes, error: BaseException) -> None:
        """Keep one input for each place at which something goes wrong."""
        frames = traceback.extract_tb(error.__traceback__)
        place = "".join(f"{frame.filename}:{frame.lineno} " for frame in frames[-3:]) + type(error).__name__
        name = f"{reader}-{hashlib.sha256(place.encode()).hexdigest()[:10]}"
        if name in self._seen:
            return
        self._seen.add(name)
        self._finds.mkdir(parents=True, exist_ok=True)
        (self._finds / name).write_bytes(data)
        told = "".join(traceback.format_exception(error))
        again = f"python tests/attack.py {reader} --repeat {self._finds / name}"
        (self._finds / f"{name}.txt").write_text(f"{again}\n\n{told}", encoding="utf-8", errors="backslashreplace")
        print(f"FIND {self._finds / name}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr, flush=True)


def _readers(module: str) -> dict:
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    return importlib.import_module(module).READERS


def _guided(options: argparse.Namespace) -> None:
    """The process that attacks, guided: libFuzzer's loop, which never returns."""
    import atheris

    with atheris.instrument_imports(include=[*_GUIDES, options.module]):
        readers = _readers(options.module)
        attempt = Attempt([readers[name] for name in options.readers], options.corpus / "finds")
        corpus = options.corpus / "+".join(options.readers)[:80]
        corpus.mkdir(parents=True, exist_ok=True)
        for seed in attempt.seeds():
            (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
            # Imports what is imported late, within the instrumentation: that takes its time.
            attempt.give(seed, timed=False)
    longest = max(path.stat().st_size for path in corpus.iterdir())
    arguments = [
        sys.argv[0],
        str(corpus),
        f"-max_len={max(_MOST_BYTES, 2 * longest)}",
        f"-timeout={_MOST_WAITING}",
        f"-report_slow_units={_MOST_WAITING}",
        f"-rss_limit_mb={MOST_MB}",
        f"-artifact_prefix={options.corpus / 'finds' / options.readers[0]}-",
        f"-seed={options.seed}",
        "-print_final_stats=1",
        "-len_control=20",
    ]
    arguments += [f"-runs={options.runs}"] if options.runs else []
    arguments += [f"-max_total_time={max(1, round(60 * options.minutes))}"] if options.minutes else []
    (options.corpus / "finds").mkdir(exist_ok=True)
    atheris.Setup(arguments, attempt.give)
    atheris.Fuzz()


def _at_random(options: argparse.Namespace) -> None:
    """The process that damages at random, each reader's files as often."""
    executions, readers = 0, _readers(options.module)
    from foreign_files import damage

    for reader in (readers[name] for name in options.readers):
        attempt, rng = Attempt([reader], options.corpus / "finds"), random.Random(options.seed)
        seeds = list(attempt.seeds())
        last = options.corpus / "finds" / f"{reader.name}-ended"
        last.parent.mkdir(exist_ok=True)
        for _ in range(options.damages):
            data = damage(rng.choice(seeds), rng)
            # Should it hang or crash, this is what it was at.
            last.write_bytes(data)
            signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)  # Of computing; at the end, the process is killed.
            signal.alarm(_MOST_WAITING)
            attempt.give(data)
        last.unlink()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        executions += attempt.executions
        print(f"{reader.name}: {attempt.executions} damages", flush=True)
    print(f"stat::number_of_executed_units: {executions}", file=sys.stderr)


def attack(reader: str, options: argparse.Namespace) -> Outcome:
    """Attack one reader, or several joined by commas, in processes of their own; those that end early are replaced."""
    outcome, before = Outcome(reader), set(_found(options.corpus, reader))
    end = time.monotonic() + 60 * options.minutes
    runs = options.runs
    for attempt in range(_MOST_RESTARTS):
        left = max(0.0, end - time.monotonic()) / 60
        call = [sys.executable, __file__, *reader.split(","), "--inside", "--corpus", str(options.corpus)]
        call += ["--seed", str(options.seed + attempt), "--minutes", str(left if options.minutes else 0)]
        call += ["--module", options.module, "--runs", str(runs), "--damages", str(options.damages)]
        environment = {"KERAS_BACKEND": "numpy", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore", **os.environ}
        done = subprocess.run(call, stderr=subprocess.PIPE, errors="backslashreplace", env=environment, cwd=ROOT)
        ran = re.findall(r"(?:^#|stat::number_of_executed_units: +)(\d+)", done.stderr, re.MULTILINE)
        outcome.executions += int(ran[-1]) if ran else 0
        covered = re.findall(r"\bcov: (\d+)", done.stderr)
        outcome.coverage = max(outcome.coverage, int(covered[-1]) if covered else 0)
        is_new = set(_found(options.corpus, reader)) - before
        if done.returncode and not is_new:
            told = done.stderr.strip().splitlines()[-12:]
            ended = f"{reader}: cannot be attacked, the process ended with {done.returncode}:"
            raise SystemExit("\n  ".join([ended, *told]))
        if done.returncode == 0 or options.damages or (options.minutes and time.monotonic() >= end):
            break
        if options.runs:
            runs = max(1, options.runs - outcome.executions)
    corpus = options.corpus / reader.replace(",", "+")[:80]
    outcome.kept = sum(1 for _ in corpus.iterdir()) if corpus.exists() else 0
    outcome.finds = sorted(set(_found(options.corpus, reader)) - before)
    return outcome


def _found(corpus: Path, reader: str) -> list[Path]:
    """What was found in these readers; others are attacked beside them."""
    names, folder = tuple(f"{name}-" for name in reader.split(",")), corpus / "finds"
    found = folder.iterdir() if folder.exists() else ()
    return [path for path in found if path.suffix != ".txt" and path.name.startswith(names)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*", metavar="READER", help="default: each of --list in turn")
    parser.add_argument("--minutes", type=float, default=0, help="for all readers together, divided equally")
    parser.add_argument("--runs", type=int, default=0, help="inputs for each reader, instead of a time")
    parser.add_argument("--corpus", type=Path, help="a folder in which inputs are kept; default: one that is new")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--damages", type=int, default=0, help="so many random damages, not guided")
    parser.add_argument("--repeat", type=Path, help="an input that was found")
    parser.add_argument("--list", action="store_true", help="name the readers")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--module", default="foreign_files", help="which has other READERS than those of the project")
    options = parser.parse_args()
    if options.inside:
        os.fsync = lambda file: None  # No power fails meanwhile, and waiting for the disk is most of the time.
        (_at_random if options.damages else _guided)(options)
        return 0
    known = _readers(options.module)
    if options.list:
        print(*known, sep="\n")
        return 0
    unknown = {one for name in options.readers for one in name.split(",")} - set(known)
    if unknown:
        parser.error(f"no reader {', '.join(sorted(unknown))}; expected one of {', '.join(known)}")
    if options.repeat:
        (reader,) = options.readers
        with tempfile.TemporaryDirectory() as folder:
            known[reader].check(options.repeat.read_bytes(), Path(folder))
        print("answered as it may be")
        return 0
    readers = options.readers or list(known)
    options.corpus = (options.corpus or Path(tempfile.mkdtemp(prefix="corpus-"))).resolve()
    options.corpus.mkdir(parents=True, exist_ok=True)
    if not (options.minutes or options.runs or options.damages):
        parser.error("expected --minutes, --runs or --damages")
    cores = len(os.sched_getaffinity(0))
    options.minutes *= min(1.0, cores / len(readers))
    with ThreadPoolExecutor(cores) as pool:
        outcomes = list(pool.map(lambda reader: attack(reader, options), readers))
    print(f"{'reader':<24}{'executions':>12}{'coverage':>10}{'corpus':>8}{'finds':>7}")
    print(*[outcome.row() for outcome in outcomes], sep="\n")
    for find in (find for outcome in outcomes for find in outcome.finds):
        told = find.with_name(f"{find.name}.txt")
        print(f"{find}: {told.read_text(encoding='utf-8').splitlines()[-1] if told.exists() else 'the process ended'}")
    return 1 if any(outcome.finds for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
