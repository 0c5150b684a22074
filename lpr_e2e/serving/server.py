"""The server below the service: its address, its connections, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.interrupts import REQUESTS

if TYPE_CHECKING:
    from lpr_e2e.serving.service import Service

# Seconds that requests in work have when the service is asked to end; containers are killed after ten.
STOP_SECONDS = 7
# Seconds within which a request's head must have come, and within which an answer must move on that nobody takes.
_HEAD_SECONDS = 10
_LAST_PORT = 65535
# Connections that the system keeps while the service is busy with others.
_BACKLOG = 128


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address; nothing is answered there yet.

    Args:
        host: an address or a name of this machine; of several addresses, the first counts.
        port: 0 for any that is free.

    Raises:
        UserError: there is no such address here, or the port is another program's or needs more rights.
    """
    place = f"{host}:{port}"
    if port > _LAST_PORT:  # Systems would take the rest of a division.
        raise UserError(f"{place}: there is no such port; expected a number up to {_LAST_PORT} with --port, 0 for any")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise UserError(f"{host}: no address of this machine ({error}); expected such as 127.0.0.1") from None
    found = socket.socket(family, kind)
    try:
        if os.name == "posix":  # What an earlier service has left is no hindrance. On Windows it would be a theft.
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"{place}: in use by another program; name another one with --port, or 0 for any") from None
        raise UserError(f"{place}: cannot be listened at ({error.strerror}); name another --host or --port") from None
    return found


def is_local(listening: socket.socket) -> bool:
    """Whether a socket's address can be reached from this machine alone."""
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback


def address_of(listening: socket.socket) -> str:
    """Where a socket can be reached, as a URL."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(service: Service, most_connections: int, listening: socket.socket, started: Callable[[], None]) -> None:
    """Serve until the process is asked to end, and what is in work then, within `STOP_SECONDS`.

    Args:
        service: what answers.
        most_connections: of more, none is served, and of twice as many, none is kept.
        listening: where.
        started: called when requests are answered.

    Raises:
        KeyboardInterrupt: the process was asked to end, see `lpr_e2e.common.interrupts`.
    """

    def connection(**about: Any) -> _Connection:
        return _Connection(service, most_connections, **about)

    config = uvicorn.Config(
        service.door,
        http=connection,  # type: ignore[arg-type]
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    _Server(config, started).run([listening])


class _Server(uvicorn.Server):
    """Ends as other commands do: at every request that they notice, those that are ignored left alone."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]):
        super().__init__(config)
        self._tell = started
        self._asked: int | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self.force_exit:  # It takes no time, and what is cancelled instead is reported as a fault.
            await self.lifespan.shutdown()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.getsignal(number) for number in REQUESTS}
        heeded = {number: handler for number, handler in before.items() if handler not in (None, signal.SIG_IGN)}
        for number in heeded:
            signal.signal(number, self.handle_exit)
        try:
            yield
        finally:
            for number, handler in heeded.items():
                signal.signal(number, handler)
        if self._asked is not None:  # Now that all is done, whoever else waits for it.
            signal.raise_signal(self._asked)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._asked = self._asked or sig


class _Connection(H11Protocol):
    """A connection that ends if its caller takes too long: to say what is wanted, or to take what is answered."""

    def __init__(self, service: Service, most: int, **about: Any):
        super().__init__(**about)
        self._service, self._most = service, most
        self._head: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._most:
            self.app = self._service.door.crowded
        if len(self.connections) > 2 * self._most:
            transport.abort()
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._head, self._stalled):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()

    def send_400_response(self, msg: str) -> None:
        detail = "this is no request of HTTP that can be understood; expected one such as curl sends"
        body = json.dumps({"detail": detail}).encode()
        head = f"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.transport.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        self.transport.close()

    def _watch_head(self) -> None:
        """Give the caller some time to send the head of a request, from its first byte or the connection on."""
        if self.conn.their_state is not h11.IDLE:
            if self._head is not None:
                self._head.cancel()
            self._head = None
        elif self._head is None:
            self._head = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)
