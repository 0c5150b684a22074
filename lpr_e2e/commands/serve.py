"""Read photographs that come over HTTP: a service for other programs, on this machine or, with a key, for others.

    lpr-e2e serve
    curl -F file=@car.jpg http://127.0.0.1:8000/v1/read
    lpr-e2e serve --host 0.0.0.0 --key-file key.txt    for other machines

POST /v1/read takes a form with one or more pictures in the field `file` and answers with the rows of predictions.csv
as JSON. GET /health says whether it reads, and with which model; /metrics has figures for Prometheus; /docs describes
all of it, the errors included. No picture is kept, and no file name is printed.

Without a key it is open to this machine alone. A key has at least 16 characters; it is read from a file (--key-file) or
from the environment (LPR_E2E_KEY), and callers send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`.

Needs `pip install '.[serve]'`.
Exit status: 2 for a wrong call, among them a port in use; 130 after Ctrl-C, 143 after SIGTERM: requests in work are
answered before, for up to 7 seconds. A second Ctrl-C does not wait for them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lpr_e2e.commands.arguments import add_model, add_precision, add_threads, at_least_one, at_least_zero
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.interrupts import GRACE_SECONDS, noticed
from lpr_e2e.common.terminal import complain, say
from lpr_e2e.serving.limits import Limits

# What each of `Limits` is for.
_LIMITS = {
    "picture_mb": "most megabytes of a picture",
    "request_mb": "most megabytes of a request",
    "pictures": "most pictures of a request",
    "held_mb": "most megabytes of all requests that are here at a time",
    "waiting": "most pictures that wait to be read",
    "connections": "most connections that are served",
    "body_seconds": "within which a request must have come as a whole",
    "answer_seconds": "within which its pictures must have been read after that",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen at; others than this machine's own need a key")
    add("--port", type=at_least_zero, default=8000, metavar="N", help="default: %(default)s; 0 takes a free one")
    add("--key-file", type=Path, metavar="FILE", help="a file with the key that callers must send")
    add_model(parser, "tunisia, its 8-bit form if ONNX Runtime is installed")
    add("--format", metavar="REGEX", help="what plates can say, as for predict")
    add_precision(parser)
    add_threads(parser)
    limits = parser.add_argument_group("limits", "what is refused of callers")
    for name, meaning in _LIMITS.items():
        default = getattr(Limits, name)
        limits.add_argument(
            _option(name), type=at_least_one, default=default, metavar="N", help=f"{meaning}, default %(default)s"
        )


def run(options: argparse.Namespace) -> int:
    """Serve until the process is asked to end."""
    from lpr_e2e.common.cores import available_cores
    from lpr_e2e.prediction.checksums import fingerprint
    from lpr_e2e.prediction.models import find
    from lpr_e2e.prediction.reader import BATCH_SIZE, MOST_READERS, PlateReader
    from lpr_e2e.serving.door import KEY_VARIABLE, SHORTEST_KEY, find_key
    from lpr_e2e.serving.server import STOP_SECONDS, address_of, is_local, listen, serve
    from lpr_e2e.serving.service import Service

    limits, key = _limits(options), find_key(options.key_file)
    with listen(options.host, options.port) as listening:
        if key is None and not is_local(listening):
            raise UserError(
                f"--host {options.host}: other machines would reach this service; expected a key of at least "
                f"{SHORTEST_KEY} characters for it: name its file with --key-file, or set {KEY_VARIABLE}"
            )
        path = find(options.model)
        reader = PlateReader.load(path, options.format, precision=options.precision)
        if reader.format_warning:
            complain(reader.format_warning)
        service = Service(
            reader,
            path.stem,
            fingerprint(path),
            limits,
            BATCH_SIZE * min(available_cores(), MOST_READERS),
            key,
            complain,
        )
        with noticed() as requests:  # What is noticed already, from the beginning of the command on.
            requests.grace_seconds = STOP_SECONDS + GRACE_SECONDS
        who = "callers on this machine" if key is None else "callers who send the key"
        serve(
            service,
            limits.connections,
            listening,
            lambda: say(f"{address_of(listening)}: reading with {path.stem} for {who}; Ctrl-C ends it"),
        )
    return 0


def _limits(options: argparse.Namespace) -> Limits:
    limits = Limits(**{name: getattr(options, name) for name in _LIMITS})
    for less, more in (("pictures", "waiting"), ("request_mb", "held_mb")):
        if getattr(limits, less) > getattr(limits, more):
            raise UserError(
                f"{_option(more)} {getattr(limits, more)}: expected at least {_option(less)}, {getattr(limits, less)}: "
                "the largest request would never have room"
            )
    return limits


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
