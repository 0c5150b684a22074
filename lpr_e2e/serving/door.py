"""Who may come in: by the key, or, without one, from this machine alone. What everybody is answered is noticed here."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.hosts import is_foreign, is_this_machine
from lpr_e2e.serving.limits import MB
from lpr_e2e.serving.uploads import busy

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEY_VARIABLE, SHORTEST_KEY = "LPR_E2E_KEY", 16
# Where a request is answered without a key.
OPEN_PATHS = ("/health",)
# The status that a request counts as whose caller has left before the answer, as web servers note it.
GONE = 499
# A larger file than any with a key, bytes.
_LONGEST_FILE = 2**16
# Of the body of a request that is refused, so much is thrown away before the answer, within so many seconds: many a
# caller sends all of it before reading why.
_LINGER_MB, _LINGER_SECONDS = 64, 1.0


def find_key(file: Path | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The key that callers must know, from a file or from the environment; None if there is neither.

    Raises:
        UserError: both name one, or it is too short or holds what no header can. The message never tells the key.
        OSError: the file cannot be read.
    """
    given = environment.get(KEY_VARIABLE)
    if file is None and given is None:
        return None
    if file is not None and given is not None:
        raise UserError(f"--key-file and {KEY_VARIABLE}: expected one of them; take the other away")
    place = KEY_VARIABLE if file is None else str(file)
    key = (given or "" if file is None else _beginning(file)).strip()
    if not re.fullmatch(rf"[!-~]{{{SHORTEST_KEY},}}", key):
        raise UserError(
            f"{place}: expected a key of at least {SHORTEST_KEY} letters, digits and signs of ASCII without blanks, "
            f"found {len(key)} characters; make one with `openssl rand -hex 32`"
        )
    return key


def _beginning(file: Path) -> str:
    """The beginning of a key file, as text: the file may be a pipe, or have no end."""
    with file.open("rb") as opened:
        return opened.read(_LONGEST_FILE).decode("utf-8", "replace")


class Door:
    """Stands before a service and answers whoever may not come in, before anything of the request's body is read.

    With a key, a request must bring it, as `Authorization: Bearer KEY` or `X-API-Key: KEY`. Without one, it must be
    addressed to this machine, and must come from no page of another site that a browser shows: such a page can send
    requests to `localhost`, also under a name of its own that it lets lead here.

    Args:
        app: the service.
        key: what callers must know, or None.
        on_answer: called with each request's scope, status and seconds.
    """

    def __init__(self, app: ASGIApp, key: str | None, on_answer: Callable[[Scope, int, float], None]):
        self._app, self._key, self._on_answer = app, key, on_answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope["path"], Headers(scope=scope))
        await self._answer(self._app if refusal is None else refused(refusal), scope, receive, send)

    async def crowded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for which there are too many others."""
        await self._answer(refused(busy("too many connections", 503)), scope, receive, send)

    def _refusal(self, path: str, headers: Headers) -> HTTPException | None:
        if self._key is None:
            return _foreign(headers)
        if path in OPEN_PATHS or any(hmac.compare_digest(one, self._key.encode()) for one in _keys(headers)):
            return None
        expected = "expected the key of this service, as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
        return HTTPException(401, f"no key, or a wrong one; {expected}", {"WWW-Authenticate": "Bearer"})

    async def _answer(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        visit, started = _Visit(scope, receive, send), time.perf_counter()
        try:
            await app(scope, visit.receive, visit.send)
        except asyncio.CancelledError:  # The server stops, and has waited long enough.
            if visit.status is None:
                await refused(busy("the service is being stopped", 503))(scope, visit.receive, visit.send)
        finally:
            self._on_answer(scope, visit.status or GONE, time.perf_counter() - started)


class _Visit:
    """A request and its answer: what has come of the one, and what has gone of the other."""

    def __init__(self, scope: Scope, receive: Receive, send: Send):
        self._receive, self._send = receive, send
        self._asks_first = "expect" in Headers(scope=scope)  # It sends its body only when it is asked to.
        self._has_all = False
        self.status: int | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        self._asks_first = False
        self._has_all = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if not self._has_all and not self._asks_first:
                await self._throw_away()
            if not self._has_all:  # Whatever still comes is not read.
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        await self._send(message)

    async def _throw_away(self) -> None:
        left = _LINGER_MB * MB
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while left > 0 and not self._has_all:
                    left -= len((await self.receive()).get("body", b""))


def refused(reason: HTTPException) -> JSONResponse:
    """The answer that an error stands for."""
    return JSONResponse({"detail": reason.detail}, reason.status_code, dict(reason.headers or {}))


def _keys(headers: Headers) -> list[bytes]:
    """What a request offers as the key."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    offered = [bearer.strip() if scheme.lower() == "bearer" else "", headers.get("x-api-key", "")]
    return [one.encode("latin-1") for one in offered if one]


def _foreign(headers: Headers) -> HTTPException | None:
    """Why a request is not one from this machine to this machine; None if it is."""
    host = headers.get("host", "").lower()
    if not is_this_machine(host):
        return HTTPException(
            403,
            f"addressed to {host[:100]!r}; expected localhost or 127.0.0.1: other names are answered with a key only",
        )
    origin = headers.get("origin")
    if origin is not None and is_foreign(origin, host):
        return HTTPException(403, f"sent by a page of {origin[:100]!r}; expected a program of this machine")
    return None
