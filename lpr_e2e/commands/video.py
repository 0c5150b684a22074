"""Read the plates of a clip, a camera or a stream: a row for each vehicle that passes.

    lpr-e2e video clip.mp4
    lpr-e2e video rtsp://camera/stream --output gate   until it is asked to end
    lpr-e2e video clip.mp4 --annotated                 also a copy with the plates drawn in
    lpr-e2e video clip.mp4 --redact blur               also a copy on which no plate can be read

Writes passes.jsonl, a line and pictures for each pass when it has ended; at the end passes.csv, and passes.html to look
through. What is live goes on while a frame is read: frames are dropped then, and counted. Of a file nothing is dropped.
Needs what `pip install '.[video]'` brings.
Exit status: 0 when the source was read to its end; 1 if it is broken, a stream broke off for good, or the results
cannot be written; 2 for a wrong call; 130 after Ctrl-C. All passes before are on disk then.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpr_e2e.cli import INTERRUPTED
from lpr_e2e.commands.arguments import add_model, add_precision, add_redact, add_threads, at_least_one, at_least_zero
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.interrupts import as_interrupt
from lpr_e2e.common.terminal import complain, many, say

if TYPE_CHECKING:
    from lpr_e2e.prediction.reader import PlateReader
    from lpr_e2e.video.frames import Source
    from lpr_e2e.video.outputs import PassWriter
    from lpr_e2e.video.page import PassPage
    from lpr_e2e.video.passes import PassBook, Vehicle

ENDED_EARLY = 1


def seconds(text: str) -> float:
    """A time of more than no seconds, and less than an hour, as an argument's type."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 3600:
        raise argparse.ArgumentTypeError(f"{text}: expected seconds, more than 0 and at most 3600")
    return number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add = parser.add_argument
    add("source", metavar="SOURCE", help="a video file, a camera such as /dev/video0, or the address of a stream")
    add_model(parser, "tunisia, its 8-bit form if ONNX Runtime is installed")
    add("--output", type=Path, metavar="DIR", default=Path("passes"), help="default: %(default)s")
    add("--every", type=at_least_one, metavar="N", help="of a file, read every Nth frame; default: about 6 a second")
    add("--gap", type=seconds, metavar="SECONDS", help="how long a hidden plate is followed; default: 1")
    add("--apart", type=seconds, metavar="SECONDS", help="seen again within so long, it is the same pass; default: 5")
    add("--annotated", action="store_true", help="also write annotated.mp4, with the plates drawn in")
    add_redact(parser, "also write redacted.mp4, on which no plate can be read")
    add("--no-page", action="store_true", help="write no passes.html")
    add(
        "--reconnects",
        type=at_least_zero,
        metavar="N",
        help="how often in a row a stream that broke off is opened again; default: 10",
    )
    add("--format", metavar="REGEX", help="what plates can say; decides between readings that are nearly as likely")
    add_precision(parser)
    add_threads(parser)


@dataclass(frozen=True)
class _Job:
    """What is watched, with what, and where it goes."""

    source: Source
    reader: PlateReader
    book: PassBook
    writer: PassWriter
    page: PassPage | None
    clips: list[Any]

    def tell(self, vehicles: list[Vehicle]) -> None:
        """Write passes that have ended."""
        for vehicle in vehicles:
            written = self.writer.write(vehicle)
            if self.page:
                self.page.write(written)


def run(options: argparse.Namespace) -> int:
    """Watch, write, and say what has passed."""
    job = _prepare(options)
    if job.writer.before:
        say(f"{job.writer.output}: holds {many(job.writer.before, 'pass')}; further ones are added")
    stopped = _watch(job)
    counts = ", ".join(f"{count} {status}" for status, count in job.writer.statuses.most_common()) or "none"
    passes = job.writer.count - job.writer.before
    done = f"{passes} pass{'es' * (passes != 1)}: {counts}; see {job.page.path if job.page else job.writer.path}"
    if job.book.left_out:
        done += f"; {job.book.left_out} more that may be plates were hardly read and seen too shortly to count"
    if job.source.live:
        done += f"; {job.source.dropped} frames dropped while others were read"
    if stopped is not None:
        interrupted = isinstance(stopped, KeyboardInterrupt)
        complain(f"{options.called}: {'interrupted' if interrupted else f'stopped, {stopped}'}: {done}")
        for clip in job.clips if interrupted else ():
            complain(clip.summary())
        return INTERRUPTED if interrupted else ENDED_EARLY
    say(done)
    for clip in job.clips:
        say(clip.summary())
    promised = job.reader.description.promise.told(options.precision)
    if promised:
        say(promised)
    if job.source.fault:
        complain(f"{options.called}: {job.source.name}: {job.source.fault}; what was read before is kept")
        return ENDED_EARLY
    return 0


def _prepare(options: argparse.Namespace) -> _Job:
    """Find everything that can be wrong with the call before the first frame is read."""
    import av  # noqa: F401  # What is missing is said before a model is loaded.
    import scipy.optimize  # noqa: F401

    from lpr_e2e.common.files import refuse_inputs, results_in
    from lpr_e2e.prediction.reader import PlateReader
    from lpr_e2e.video import clips, outputs
    from lpr_e2e.video.frames import RECONNECTS, open_source
    from lpr_e2e.video.page import PassPage
    from lpr_e2e.video.passes import APART, PassBook
    from lpr_e2e.video.tracker import GAP

    output = options.output
    named = [clips.ANNOTATED] * options.annotated + [clips.REDACTED] * bool(options.redact)
    names = [outputs.LINES, outputs.TABLE, outputs.PAGE, *named]
    if os.path.exists(options.source):
        refuse_inputs([output / name for name in names], [Path(options.source)])
    for name in named:
        if (output / name).exists():
            raise UserError(f"{output / name}: is there already; remove it, or name another folder with --output")
    reconnects = RECONNECTS if options.reconnects is None else options.reconnects
    source = open_source(options.source, options.every, bool(named), reconnects, complain)
    reader = PlateReader.load(options.model, options.format, precision=options.precision)
    if reader.format_warning:
        complain(reader.format_warning)
    book = PassBook(reader, options.gap or GAP, options.apart or APART)
    copies: list[Any] = []
    with results_in(output):
        writer = outputs.PassWriter(output, source)
        page = None if options.no_page else PassPage(output, source.name)
        if options.annotated:
            copies.append(clips.AnnotatedClip(output / clips.ANNOTATED, source.rate))
        if options.redact:
            copies.append(clips.RedactedClip(output / clips.REDACTED, source.rate, options.redact, reader.driver))
    return _Job(source, reader, book, writer, page, copies)


def _watch(job: _Job) -> KeyboardInterrupt | OSError | None:
    """Give all passes to all receivers as they end; return what stopped it, if anything did."""
    stopped: KeyboardInterrupt | OSError | None = None
    try:
        with contextlib.ExitStack() as stack:
            stack.callback(job.source.close)
            for receiver in (job.writer, job.page, *job.clips):
                if receiver:
                    stack.enter_context(receiver)
            stopped = _watch_all(job)
            job.tell(job.book.finish())
    except OSError as error:  # The end of a file could not be written.
        return stopped or error
    return stopped


def _watch_all(job: _Job) -> KeyboardInterrupt | OSError | None:
    from tqdm import tqdm

    from lpr_e2e.video.watching import watch

    # Where there is no error stream, there is nothing to show progress on.
    with tqdm(total=job.source.length, unit="frame", disable=None if sys.stderr else True) as progress:
        try:
            with as_interrupt(OSError):
                for seen in watch(job.source, job.reader, job.book):
                    job.tell(seen.ended)
                    for clip in job.clips:
                        clip.write(seen.frames, seen.readings, seen.vehicles)
                    dropped = {"dropped": job.source.dropped} if job.source.live else {}
                    progress.set_postfix(passes=job.writer.count - job.writer.before, **dropped, refresh=False)
                    progress.update(len(seen.frames))
        except (KeyboardInterrupt, OSError) as error:  # An OSError here is about writing: the disk is full, say.
            return error
    return None
