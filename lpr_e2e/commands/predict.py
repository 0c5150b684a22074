"""Read the licence plates on photographs.

    lpr-e2e predict FOLDER
    lpr-e2e predict FOLDER --model egypt               plates of another country, see `lpr-e2e models`
    lpr-e2e predict car.jpg "holiday/*.jpg" --output read
    lpr-e2e predict FOLDER --truth known.csv           how good is the model?
    lpr-e2e predict FOLDER --submission submission.csv the 2019 challenge's form
    lpr-e2e predict FOLDER --redact blur               copies on which no plate can be read

Writes predictions.csv (one row per plate, at least one per file), report.html with all of them to look at, and
pictures with the plates drawn in.
Exit status: 0 when every file was processed, also if some could not be read (see the column status); 2 for a wrong
call; 1 if the results cannot be written; 130 after Ctrl-C. Everything read before is on disk then.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpr_e2e.cli import INTERRUPTED, UNWRITTEN
from lpr_e2e.commands.arguments import add_model, add_precision, add_redact, add_threads, at_least_one
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.interrupts import as_interrupt
from lpr_e2e.common.terminal import complain, say

if TYPE_CHECKING:
    from lpr_e2e.evaluation.report import ReportWriter
    from lpr_e2e.evaluation.scoring import Scoring
    from lpr_e2e.prediction.challenge import SubmissionForm
    from lpr_e2e.prediction.outputs import PredictionsWriter
    from lpr_e2e.prediction.reader import PlateReader
    from lpr_e2e.prediction.redaction import RedactionWriter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add = parser.add_argument
    add("photographs", nargs="+", metavar="FOLDER", help="a folder (searched with all below it), a file or a glob")
    add_model(parser, "tunisia, its 8-bit form if ONNX Runtime is installed")
    add(
        "--output",
        type=Path,
        metavar="DIR",
        help="default: predictions, beside the photographs' folder if you are in it",
    )
    add("--no-report", action="store_true", help="write no report.html")
    add("--no-pictures", action="store_true", help="draw no pictures")
    add("--format", metavar="REGEX", help="what plates can say; decides between readings that are nearly as likely")
    add_precision(parser)
    add_redact(parser, "also write copies on which no plate can be read, and nothing else that the files say")
    add("--jsonl", action="store_true", help="also write predictions.jsonl: a line per plate, certainties included")
    add("--submission", type=Path, metavar="FILE", help="also write the 2019 challenge's form")
    add(
        "--truth",
        type=Path,
        metavar="FILE",
        help="score against a CSV img_id,text[,ymin,xmin,ymax,xmax], or other labels",
    )
    add("--figures", type=Path, metavar="FILE", help="with --truth: write all figures, as .md or .json")
    add(
        "--seen",
        type=Path,
        metavar="CSV",
        help="with --truth: texts trained on (a column text); others are scored apart",
    )
    add("--batch-size", type=at_least_one, metavar="N", help="photographs per call of the model")
    add_threads(parser)


@dataclass(frozen=True)
class _Job:
    """What is read, with what, and who gets the readings: `receivers`, of which `files` are written at the end; and the
    names of the files `written` beside the table and the pictures."""

    photographs: list[tuple[str, Path]]
    reader: PlateReader
    scoring: Scoring | None
    seen: set[str] | None
    form: SubmissionForm | None
    writer: PredictionsWriter
    page: ReportWriter | None
    redaction: RedactionWriter | None
    files: list[Any]
    written: list[str]

    @property
    def receivers(self) -> list[Any]:
        return [*self.files, *(one for one in (self.scoring, self.form) if one is not None)]


def run(options: argparse.Namespace) -> int:
    """Read, write, and say what was read."""
    if not options.truth and (options.figures or options.seen):
        raise UserError("--figures and --seen need --truth")
    job = _prepare(options)
    stopped = _read(job, options)
    if stopped is not None:
        interrupted = isinstance(stopped, KeyboardInterrupt)
        reason = "interrupted" if interrupted else f"stopped, {stopped}"
        done = f"{job.writer.count} of {len(job.photographs)} photographs are in {job.writer.csv_path}"
        complain(f"{options.called}: {reason}: {done}")
        return INTERRUPTED if interrupted else UNWRITTEN
    counts = ", ".join(f"{count} {status}" for status, count in job.writer.statuses.most_common())
    place = job.page.path if job.page else job.writer.csv_path
    say(f"{job.writer.count} photograph{'s' * (job.writer.count != 1)}: {counts}; see {place}")
    if job.redaction:
        say(job.redaction.summary())
    promised = job.reader.description.promise.told(options.precision)
    if promised:
        say(promised)
    if others := job.writer.others(job.written):
        say(f"{job.writer.csv_path.parent} also holds what is not of this prediction: {', '.join(others)}")
    return _score(job, job.scoring, options) if job.scoring else 0


def _prepare(options: argparse.Namespace) -> _Job:
    """Find everything that can be wrong with the call before the first photograph is read."""
    from lpr_e2e.common.files import refuse_foreign, refuse_inputs, refuse_link, require_places, results_in
    from lpr_e2e.common.photographs import find_photographs
    from lpr_e2e.prediction.models import find
    from lpr_e2e.prediction.outputs import (
        CSV,
        JSONL,
        PICTURES,
        REDACTED_CSV,
        REPORT,
        JsonLines,
        PredictionsWriter,
        default_output,
        is_predictions,
    )
    from lpr_e2e.prediction.reader import PlateReader

    # What only some ask for is imported for them alone: nobody else should wait for it.
    if options.figures:
        from lpr_e2e.evaluation.summary import require_form

        require_form(options.figures)
    photographs = find_photographs(options.photographs)
    output = options.output or default_output(options.photographs)
    written = [JSONL] * options.jsonl + [REPORT] * (not options.no_report)
    written += [REDACTED_CSV] * bool(options.redact)
    targets = [path for path in (options.submission, options.figures) if path]
    require_places([*targets, *(output / name for name in (CSV, *written))], made=output)
    given = [*(path for path in (options.truth, options.seen) if path), *(path for _, path in photographs)]
    refuse_inputs([*targets, *(output / name for name in (CSV, *written))], given)
    refuse_inputs(targets, [find(options.model)])
    marks = [CSV] if is_predictions(output / CSV) else []
    replaced = [CSV, *written, *([PICTURES] * (not options.no_pictures))]
    refuse_foreign(output, marks, replaced)
    for name in replaced:  # Before an earlier result is.
        refuse_link(output / name)
    if options.redact:
        from lpr_e2e.prediction import redaction as redacting

        redacting.refuse_unsafe(output, photographs)
    scoring, seen = _truth(options, photographs)
    reader = PlateReader.load(options.model, options.format, precision=options.precision)
    if reader.format_warning:
        complain(reader.format_warning)
    form = None
    if options.submission:
        from lpr_e2e.prediction.challenge import SubmissionForm

        form = SubmissionForm(reader.vocabulary, [img_id for img_id, _ in photographs])
    redaction = None
    with results_in(output):
        writer = PredictionsWriter(output, not options.no_pictures, photographs)
        lines = JsonLines(output / JSONL) if options.jsonl else None
        page = None if options.no_report else _page(options, output / REPORT, scoring, reader)
        if options.redact:
            redaction = redacting.RedactionWriter(output, options.redact, reader.driver)
    files = [file for file in (writer, lines, page, redaction) if file is not None]
    return _Job(photographs, reader, scoring, seen, form, writer, page, redaction, files, written)


def _truth(options: argparse.Namespace, photographs: list[tuple[str, Path]]) -> tuple[Scoring | None, set[str] | None]:
    """What collects the readings of photographs whose plates are known, and the texts that were trained on."""
    if not options.truth:
        return None, None
    from lpr_e2e.evaluation.names import as_read
    from lpr_e2e.evaluation.scoring import Scoring
    from lpr_e2e.evaluation.truth import read_texts, read_truth

    notes: list[str] = []
    truths, note = as_read(read_truth(options.truth, notes), [img_id for img_id, _ in photographs], options.truth)
    for one in [*notes, *([note] if note else [])]:
        say(one)
    return Scoring(truths), read_texts(options.seen) if options.seen else None


def _page(options: argparse.Namespace, path: Path, scoring: Scoring | None, reader: PlateReader) -> ReportWriter:
    """The report."""
    from lpr_e2e.evaluation.report import ReportWriter

    others = f" and {len(options.photographs) - 1} more" if options.photographs[1:] else ""
    promise = reader.description.promise
    return ReportWriter(
        path,
        f"Licence plates of {options.photographs[0]}{others}",
        scoring.truths if scoring else None,
        promise.in_words(options.precision) if promise.bars else "",
        max(reader.least_certainty, reader.procedure.certainty_threshold),
    )


def _read(job: _Job, options: argparse.Namespace) -> KeyboardInterrupt | OSError | None:
    """Give every photograph's readings to all receivers as they come; return what stopped it, if anything did."""
    stopped: KeyboardInterrupt | OSError | None = None
    try:
        with contextlib.ExitStack() as stack:
            for file in job.files:
                stack.enter_context(file)
            stopped = _read_all(job, options.batch_size)
            if job.page and job.scoring:
                job.page.add_figures(job.scoring.figures(job.reader.vocabulary))
        if job.form:
            job.form.save(options.submission)
    except OSError as error:  # The end of a file could not be written.
        return stopped or error
    return stopped


def _read_all(job: _Job, batch_size: int | None) -> KeyboardInterrupt | OSError | None:
    from tqdm import tqdm

    from lpr_e2e.prediction.reader import BATCH_SIZE

    # Where there is no error stream, there is nothing to show progress on.
    with tqdm(total=len(job.photographs), unit="photograph", disable=None if sys.stderr else True) as progress:
        try:
            with as_interrupt(OSError):
                for img_id, photograph, readings in job.reader.read_files(job.photographs, batch_size or BATCH_SIZE):
                    for receiver in job.receivers:
                        receiver.write(img_id, photograph, readings)
                    progress.update()
        except (KeyboardInterrupt, OSError) as error:  # An OSError here is about writing: the disk is full, say.
            return error
    return None


def _score(job: _Job, scoring: Scoring, options: argparse.Namespace) -> int:
    """Say how good the readings are, and write it down where that is asked for."""
    from lpr_e2e.evaluation.summary import Summary

    summary = Summary.of(scoring, job.reader.vocabulary, job.seen)
    say(f"\n{summary.text()}")
    if options.figures:
        try:
            summary.write(options.figures)
        except OSError as error:
            complain(f"{options.called}: {error}")
            return UNWRITTEN
    return 0
