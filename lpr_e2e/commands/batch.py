"""Read any number of photographs with Apache Beam: on several processes, or on a cluster.

    lpr-e2e batch FOLDER --output DIR --workers 2
    lpr-e2e batch 'gs://bucket/cars/**' --output gs://bucket/read --runner DataflowRunner ...

Photographs and results lie on any file system that Beam knows. The photographs are listed once, sorted, and cut into
shards. Each shard becomes one file `part-00003-of-00200.csv` with the rows that `predict` writes (or `.jsonl`), and
`unreadable-00003-of-00200.csv` with the files of it that could not be read, if there are any. A part appears when it
is whole: the same command again reads only the shards that are missing. Options that are not ours go to Beam:
--runner and so on.

With --workers, local processes share the shards, each with a pipeline of its own: Beam's runner with several processes
waits for ever for one that was killed. Here the others go on, and then the lost shards are read again.

Reads with the exported form of a model (`lpr-e2e export`); neither TensorFlow nor Keras is needed, but Beam is, in an
environment of its own: `pip install '.[beam]'` in the project's folder.
Exit status: 0 when all is read, 1 if shards are left, 2 for a wrong call, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lpr_e2e.commands.arguments import add_precision, at_least_one
from lpr_e2e.common.cores import available_cores
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import complain, say

if TYPE_CHECKING:
    from lpr_e2e.serving.beam import Batch, ReadShard

# Photographs per file of results: what is lost when a process is.
SHARD = 500
TAKES_REST = True  # Beam's options.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add = parser.add_argument
    add("photographs", help="a folder, or a pattern with * and **")
    add("--output", required=True, metavar="DIR", help="folder of the results, and of what is left")
    add("--model", metavar="MODEL", help="an exported folder, or a name that `models` lists; default: tunisia")
    add("--format", metavar="REGEX", help="what plates can say, as for predict")
    add_precision(parser)
    add("--form", choices=("csv", "jsonl"), default="csv", help="default: %(default)s")
    add("--shard", type=at_least_one, default=SHARD, metavar="N", help="photographs per file, default %(default)s")
    add("--workers", type=at_least_one, default=1, metavar="N", help="local processes, default %(default)s")
    add("--shards", metavar="JSON", help=argparse.SUPPRESS)  # The share of one of several processes.


def run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Read what is missing, and say what was read.

    Args:
        options: the command's own.
        rest: Beam's.
    """
    from lpr_e2e.serving.beam import Batch, ReadShard, fingerprint, read_shards

    if options.workers > 1 and rest:
        raise UserError(f"--workers is for this machine; with {rest[0]}, Beam's runner decides")
    options.model = _exported(options)
    settings = {name: getattr(options, name) for name in ("shard", "form", "model", "format", "precision")}
    # Loading the model here too finds a wrong path or format before any worker starts.
    threads = max(1, available_cores() // options.workers)
    read_shard = ReadShard(options.model, options.format, options.form, threads, options.precision)
    reader = read_shard.load()
    batch = Batch(options.output, {"pattern": options.photographs, **settings, "weights": fingerprint(options.model)})
    if options.shards:
        read_shards(batch, json.loads(options.shards), read_shard, rest)
        return 0
    if reader.format_warning:
        complain(reader.format_warning)
    missing = batch.missing()
    done = batch.shards - len(missing)
    before = f", {done} of them read before" if done else ""
    say(f"{len(batch.photographs)} photographs in {batch.shards} shards{before}")
    left = len(_read(batch, missing, read_shard, options, rest))
    if left:
        complain(f"{options.called}: {left} of {batch.shards} shards are not read; the same command goes on")
        return 1
    counts = ", ".join(f"{count} {status}" for status, count in batch.statuses().most_common())
    say(f"{len(batch.photographs)} photographs: {counts}; see {batch.part(0)}")
    promised = reader.description.promise.told(options.precision)
    if promised:
        say(promised)
    return 0


def _exported(options: argparse.Namespace) -> str:
    """Where the exported model is: a folder here, or on another file system of Beam."""
    from lpr_e2e.prediction.models import find
    from lpr_e2e.serving.beam import is_remote

    if options.model is not None and is_remote(options.model):
        return options.model
    path = find(options.model)
    if path.is_file():
        raise UserError(f"{path}: this reads with exported models alone; write one with `{options.spelled('export')}`")
    return str(path)


def _read(
    batch: Batch, missing: list[int], read_shard: ReadShard, options: argparse.Namespace, rest: Sequence[str]
) -> list[int]:
    """Read the missing shards; returns those that are left."""
    from lpr_e2e.serving.beam import read_in_processes, read_shards

    if options.workers == 1:
        read_shards(batch, missing, read_shard, rest)  # What it leaves, its runner has tried again by itself.
        return batch.missing()
    while missing:
        read_in_processes(missing, options.workers, lambda share: _command(options, share))
        before, missing = missing, batch.missing()
        if len(missing) == len(before):
            break  # What is left cannot be read.
    return missing


def _command(options: argparse.Namespace, share: list[int]) -> list[str]:
    """What starts a process that reads some shards."""
    named = {
        name: getattr(options, name) for name in ("output", "model", "format", "precision", "form", "shard", "workers")
    }
    given = [f"--{name}={value}" for name, value in named.items() if value is not None]
    command = [sys.executable, "-m", "lpr_e2e", "batch", *given, f"--shards={json.dumps(share)}"]
    return [*command, "--", options.photographs]
