"""Pictures that somebody sends: taken in piece by piece, into memory and nowhere else, and refused as soon as they are
too much."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from fastapi import HTTPException, Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from lpr_e2e.common.photographs import as_text
from lpr_e2e.serving.limits import MB, Limits

# The field of a form that holds pictures.
FIELD = "file"
FORM = "multipart/form-data"
# What somebody is told to wait who comes when there is no room, seconds.
RETRY_SECONDS = 1
EXPECTED = f"expected {FORM} with one or more pictures in the field '{FIELD}', such as curl -F {FIELD}=@car.jpg sends"


class Room:
    """The memory that uploads may take together."""

    def __init__(self, limits: Limits):
        self._left = limits.held_mb * MB

    @contextlib.contextmanager
    def share(self) -> Iterator[Share]:
        """Within it, a request takes what it needs; afterwards that is free again."""
        share = Share(self)
        try:
            yield share
        finally:
            self._left += share.taken


class Share:
    """What one request has taken of a room."""

    def __init__(self, room: Room):
        self._room, self.taken = room, 0

    def take(self, size: int) -> None:
        """Take so many bytes more.

        Raises:
            HTTPException: 429, there are not so many left.
        """
        if size > self._room._left:
            raise busy("the pictures of others fill the memory for uploads")
        self._room._left -= size
        self.taken += size


def busy(reason: str, status: int = 429) -> HTTPException:
    """The answer to somebody who comes when there is no room."""
    return HTTPException(status, f"{reason}; send the request again later", {"Retry-After": str(RETRY_SECONDS)})


async def receive_pictures(request: Request, limits: Limits, share: Share) -> list[tuple[str, bytes]]:
    """The pictures of a request, in order, as pairs of name and content; nothing of them is decoded.

    Args:
        request: whose body nobody has read.
        limits: what is refused. A body that is too large is refused at its `Content-Length`, or once so much has come.
        share: what the request may hold in memory.

    Raises:
        HTTPException: 415, the body is no such form; 400, it is none that can be understood; 408, it comes too
            slowly; 413, it is too large; 422, it holds no pictures; 429, see `Share`.
        ClientDisconnect: whoever sent it is gone.
    """
    parts = _Parts(limits)
    parser = MultipartParser(_boundary(request), parts.callbacks())  # type: ignore[arg-type]
    most = limits.request_mb * MB
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise _too_large(f"a body of {length} bytes", f"{limits.request_mb} MB in one request")
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for piece in request.stream():
                share.take(len(piece))
                if share.taken > most:
                    raise _too_large("a larger body", f"{limits.request_mb} MB in one request")
                parser.write(piece)
    except TimeoutError:
        reason = f"the body did not come within {limits.body_seconds} seconds; send fewer or smaller pictures"
        raise HTTPException(408, reason) from None
    except FormParserError as error:
        raise HTTPException(400, f"the body cannot be understood ({error}); {EXPECTED}") from None
    if not parts.is_whole:
        raise HTTPException(400, f"the body ends too early, before its last boundary; {EXPECTED}")
    if not parts.pictures:
        raise HTTPException(422, f"no picture; {EXPECTED}")
    return [(name, bytes(content)) for name, content in parts.pictures]


def _boundary(request: Request) -> bytes:
    """What divides the parts of the request's body."""
    kind, options = parse_options_header(request.headers.get("content-type"))
    coding = request.headers.get("content-encoding", "identity")
    if kind != FORM.encode() or coding.lower() != "identity":
        found = f"the content type {kind.decode('latin-1')[:60]!r}" if kind else "no content type"
        coded = "" if coding.lower() == "identity" else f" in the coding {coding[:30]!r}"
        raise HTTPException(415, f"{found}{coded}; {EXPECTED}")
    try:
        boundary = options[b"boundary"]
        MultipartParser(boundary)
    except (KeyError, FormParserError):
        raise HTTPException(400, f"the content type names no boundary that can be used; {EXPECTED}") from None
    return boundary


class _Parts:
    """What a parser finds in a body: the pictures, and whether it has seen their end."""

    def __init__(self, limits: Limits):
        self._limits = limits
        self._name, self._value, self._disposition = b"", b"", b""
        self.pictures: list[tuple[str, bytearray]] = []
        self.is_whole = False

    def callbacks(self) -> dict:
        """For `python_multipart`, which knows them by these names."""
        names = ("part_begin", "header_field", "header_value", "header_end", "headers_finished", "part_data", "end")
        return {f"on_{name}": getattr(self, name) for name in names}

    def part_begin(self) -> None:
        self._disposition = b""

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name, self._value = b"", b""

    def headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        field = options.get(b"name", b"").decode("utf-8", "backslashreplace")
        if field != FIELD:
            raise HTTPException(422, f"a field {field[:60]!r}; {EXPECTED}")
        if len(self.pictures) == self._limits.pictures:
            raise _too_large("more pictures", f"{self._limits.pictures} pictures in one request")
        name = options.get(b"filename", b"").decode("utf-8", "surrogateescape")
        self.pictures.append((as_text(name), bytearray()))

    def part_data(self, data: bytes, start: int, end: int) -> None:
        content = self.pictures[-1][1]
        content += data[start:end]
        if len(content) > self._limits.picture_mb * MB:
            place, most = len(self.pictures), self._limits.picture_mb
            raise _too_large(f"more in picture {place}", f"{most} MB in one picture")

    def end(self) -> None:
        self.is_whole = True


def _too_large(found: str, expected: str) -> HTTPException:
    return HTTPException(413, f"expected at most {expected}, found {found}; send less at a time, or smaller pictures")
