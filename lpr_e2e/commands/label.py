"""Label photographs on a page in the browser, with what the model reads filled in: most of the work is Enter.

    lpr-e2e label FOLDER                                    opens the page; Ctrl-C ends it
    lpr-e2e label FOLDER --model egypt                      read by the model of a country
    lpr-e2e label FOLDER --model none                       without a model
    lpr-e2e label FOLDER --from predictions/predictions.csv correct what was read before
    lpr-e2e label FOLDER --problems problems.csv            correct what `lpr-e2e check` has found

What is least certain comes first. Every answer is written to FOLDER/labels.csv when it is given, for `lpr-e2e train`;
labels that are there already are shown, and never changed. The page can be opened on this machine alone.
Exit status: 0 after Ctrl-C or a request to end, 2 for a wrong call.
"""

from __future__ import annotations

import argparse
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpr_e2e.commands.arguments import add_label_options, add_model, add_threads, label_options
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import complain, say

if TYPE_CHECKING:
    from lpr_e2e.annotation.beginning import Beginning
    from lpr_e2e.annotation.desk import Desk
    from lpr_e2e.prediction.reader import PlateReader

TABLE = "labels.csv"
# What `--model` is told where none shall read.
NO_MODEL = "none"
_HIGHEST_PORT = 65535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="a folder with photographs, searched with all below it")
    add_model(parser, "base; none: without one")
    add("--output", type=Path, metavar="CSV", help=f"table of the answers; default: {TABLE} in FOLDER")
    add("--from", type=Path, metavar="CSV", dest="predictions", help="show what a predictions.csv has; reads nothing")
    add("--problems", type=Path, metavar="CSV", help="only photographs with a row in this problems.csv, which is shown")
    add("--no-browser", action="store_true", help="print the page's address, and open no browser")
    add("--port", type=_port, default=0, metavar="N", help="of the page; default: a free one")
    add_threads(parser)
    add_label_options(parser, training=False, form=True)


def run(options: argparse.Namespace) -> int:
    """Serve the page until somebody ends it; returns the exit code 0.

    Raises:
        UserError: the folder, the labels, a table, the model or the port cannot be used.
        OSError: a file cannot be read or written.
    """
    from lpr_e2e.annotation.beginning import Beginning
    from lpr_e2e.common.files import refuse_inputs, require_places

    folder, output = options.folder, options.output or options.folder / TABLE
    if options.predictions and options.model not in (None, NO_MODEL):
        raise UserError("--from shows what was read before, and --model reads anew: expected one of them")
    if options.output:
        require_places([output])
    refuse_inputs([output], [path for path in (options.predictions, options.problems, options.validation) if path])
    beginning = Beginning.of(folder, label_options(options), options.predictions, options.problems)
    for note in beginning.notes:
        say(note)
    progress = answer(beginning, output, _reader(options), options.port, not options.no_browser)
    say(_farewell(options, progress, output))
    return 0


def answer(
    beginning: Beginning,
    output: Path,
    reader: PlateReader | None,
    port: int,
    opens_browser: bool,
    goal: int | None = None,
) -> dict[str, Any]:
    """Serve the page until Ctrl-C, or until so many photographs are answered; see `Desk.progress` for what is returned.

    Raises:
        UserError: the table or the port cannot be used.
        OSError: a file cannot be read or written.
    """
    from lpr_e2e.annotation.answers import Answers
    from lpr_e2e.annotation.desk import Desk
    from lpr_e2e.annotation.site import Server

    with Answers(output) as answers:
        desk = Desk(beginning, answers, goal)
        if desk.wanted == 0:
            return desk.progress()
        with Server(desk, port) as server:
            try:  # Whoever is told about Ctrl-C may use it at once.
                progress, total = desk.progress(), len(beginning.photographs)
                say(f"{progress['answered']} of {total} photographs are answered in {output}.")
                say(f"The page, on this machine alone: {server.address}")
                say("Ctrl-C ends it; every answer is on disk when it is given.")
                if reader is not None:
                    _read_ahead(desk, reader)
                if opens_browser:
                    _open(server.address_for_once())
                server.wait(lambda: desk.wanted == 0)
            except KeyboardInterrupt:  # How this command is meant to end.
                pass
            finally:
                if desk.ahead is not None:
                    desk.ahead.stop()
        return desk.progress()


def _reader(options: argparse.Namespace) -> PlateReader | None:
    """What reads the photographs; None where nothing is to be read."""
    if options.model == NO_MODEL or options.predictions:
        return None
    from lpr_e2e.prediction.models import START_NAME
    from lpr_e2e.prediction.reader import PlateReader

    return PlateReader.load(START_NAME if options.model is None else options.model)


def _read_ahead(desk: Desk, reader: PlateReader) -> None:
    from lpr_e2e.annotation.reading_ahead import ReadingAhead

    desk.read_with(functools.partial(ReadingAhead, reader.read_files))


def _open(address: str) -> None:
    """Open the page in a browser, where there is one."""
    import webbrowser

    if not webbrowser.open(address):
        complain("No browser was found: open the address above in one.")


def _farewell(options: argparse.Namespace, progress: dict[str, Any], output: Path) -> str:
    """What was done, and what can be done with it."""
    done = f"{progress['answered']} of {progress['total']} photographs are answered, in {output}."
    if not progress["answered"]:
        return done
    inside = os.path.realpath(output.parent) == os.path.realpath(options.folder)
    data = f"{options.folder}" if inside else f"{output} --pictures {options.folder}"
    return f"{done}\nTo train on them: {options.spelled('train')} --data {data}"


def _port(text: str) -> int:
    """A port, as an argument's type."""
    if not text.isdecimal() or not 1 <= int(text) <= _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text}: expected 1 to {_HIGHEST_PORT}")
    return int(text)
