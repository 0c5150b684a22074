"""Reading over HTTP: what can be asked, what is answered, and what is counted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

import prometheus_client
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader, HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import ClientDisconnect

from lpr_e2e import __version__
from lpr_e2e.prediction.reading import Reading, best_reading
from lpr_e2e.serving.answers import (
    BODY,
    EXAMPLE,
    Answer,
    Health,
    PictureRows,
    Problem,
    about_reading,
    as_row,
    refusals,
    refuse_if_none_is_readable,
)
from lpr_e2e.serving.door import GONE, Door
from lpr_e2e.serving.limits import Limits
from lpr_e2e.serving.queueing import QueueFull, ReadingQueue
from lpr_e2e.serving.uploads import Room, busy, receive_pictures

if TYPE_CHECKING:
    from starlette.types import Scope

    from lpr_e2e.prediction.reader import PlateReader

# Upper bounds of a histogram's bars.
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_PICTURES = (1, 2, 4, 8, 16, 32, 64)
# Libraries that report what callers do wrong, as if it were a fault of ours.
_TOLD_BY_ANSWERS = ("python_multipart", "uvicorn.error")
_NOTHING_SENT = dict.fromkeys(("tracing", "metrics", "logs", "operation_spans", "auto_configure"), False)


class Figures:
    """What is counted, for Prometheus."""

    def __init__(self) -> None:
        self.registry = registry = prometheus_client.CollectorRegistry()
        self.requests = prometheus_client.Counter(
            "lpr_e2e_requests",
            "Requests by path and status; 499: the caller left.",
            ("path", "status"),
            registry=registry,
        )
        self.seconds = prometheus_client.Histogram(
            "lpr_e2e_request_seconds",
            "From a request's head to its answer.",
            ("path",),
            registry=registry,
            buckets=_SECONDS,
        )
        self.pictures = prometheus_client.Counter(
            "lpr_e2e_pictures", "Pictures by the status of their most certain plate.", ("status",), registry=registry
        )
        self.taken = prometheus_client.Histogram(
            "lpr_e2e_batch_pictures", "Pictures that were read together.", registry=registry, buckets=_PICTURES
        )
        self.waiting = prometheus_client.Gauge(
            "lpr_e2e_queue_pictures", "Pictures that wait to be read.", registry=registry
        )

    def page(self) -> Response:
        """All of it as Prometheus reads it."""
        return Response(
            prometheus_client.generate_latest(self.registry), media_type=prometheus_client.CONTENT_TYPE_LATEST
        )


class Service:
    """Reads pictures that come over HTTP.

    Args:
        reader: reads all of them.
        model, weights: its name and what tells its weights from others.
        limits: how much is taken from callers.
        together: how many pictures are read at once, see `ReadingQueue`.
        key: what callers must know, or None for callers on this machine.
        log: takes a line about each request; it names no file.

    Attributes:
        door: the application of ASGI to be served.
    """

    def __init__(
        self,
        reader: PlateReader,
        model: str,
        weights: str,
        limits: Limits,
        together: int,
        key: str | None = None,
        log: Callable[[str], None] = lambda line: None,
    ):
        self._limits, self._log = limits, log
        self._health = Health(status="ready", model=model, weights=weights, version=__version__)
        self._room, self._figures = Room(limits), Figures()
        self._queue = ReadingQueue(reader, limits.waiting, together, self._figures.taken.observe)
        self._figures.waiting.set_function(lambda: self._queue.waiting)
        app = self._app(key)
        self._paths = {str(getattr(route, "path", "")) for route in app.routes}
        self.door = Door(app, key, self._note)
        for name in _TOLD_BY_ANSWERS:
            logging.getLogger(name).setLevel(logging.ERROR)

    def _app(self, key: str | None) -> FastAPI:
        app = FastAPIOffline(
            title="lpr-e2e",
            version=__version__,
            summary="Finds licence plates on photographs and reads them.",
            description=f"Reads with the model `{self._health.model}`. Pictures are in memory while they are read, and "
            "are kept nowhere.",
            redoc_url=None,
            redirect_slashes=False,
            lifespan=self._reading,
            telemetry=_NOTHING_SENT,
            dependencies=[
                Depends(HTTPBearer(auto_error=False)),
                Depends(APIKeyHeader(name="X-API-Key", auto_error=False)),
            ]
            if key
            else [],
        )
        most = self._limits
        app.post(
            "/v1/read",
            summary="Read the plates on one or more pictures",
            description=about_reading(most),
            response_model=Answer,
            responses={200: {"content": {"application/json": {"example": EXAMPLE}}}, **refusals(most, key)},
            openapi_extra={"requestBody": BODY},
        )(self._read)
        app.get(
            "/health",
            summary="Whether pictures are read, and by which model",
            description="Needs no key.",
            response_model=Health,
            responses={503: {"model": Problem, "description": "Nothing is read: the service is to be started again."}},
        )(self._tell_health)
        app.get("/metrics", summary="Figures for Prometheus", response_class=Response)(self._tell_figures)
        app.exception_handler(AnyHTTPException)(self._refuse)
        app.exception_handler(Exception)(self._admit)
        return app

    @contextlib.asynccontextmanager
    async def _reading(self, app: FastAPI) -> AsyncIterator[None]:
        self._queue.start()
        yield
        self._queue.stop()

    async def _read(self, request: Request) -> Answer | Response:
        try:
            if self._queue.waiting >= self._limits.waiting:
                raise busy("the queue is full")  # Before the pictures are taken in.
            with self._room.share() as share:
                pictures = await receive_pictures(request, self._limits, share)
                found = await self._in_turn(request, pictures)
        except ClientDisconnect:
            return Response(status_code=GONE)  # Nobody gets it.
        self._figures_of(found)
        refuse_if_none_is_readable(found)
        return Answer(
            files=[
                PictureRows(name=name, rows=[as_row(reading) for reading in readings])
                for (name, _), readings in zip(pictures, found, strict=True)
            ]
        )

    async def _in_turn(self, request: Request, pictures: Sequence[tuple[str, bytes]]) -> list[list[Reading]]:
        """The readings of a request's pictures, as soon as they have had their turn.

        Raises:
            HTTPException: 429, they have no room in the queue; 503, they had no turn in time; 504, reading took longer.
            ClientDisconnect: who sent them has left.
        """
        try:
            answers = self._queue.submit(pictures)
        except QueueFull:
            raise busy("the queue is full") from None
        reading = asyncio.gather(*map(asyncio.wrap_future, answers))
        leaving = asyncio.ensure_future(_until_gone(request))
        try:
            await asyncio.wait(
                (reading, leaving), timeout=self._limits.answer_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if reading.done():
                return reading.result()
            if leaving.done():
                raise ClientDisconnect
            raise self._too_late(answers)
        finally:
            leaving.cancel()
            reading.cancel()  # What has not had its turn never gets one.

    def _too_late(self, answers: Sequence[Future]) -> HTTPException:
        seconds = self._limits.answer_seconds
        if any(answer.running() or answer.done() for answer in answers):
            return HTTPException(
                504, f"reading took longer than {seconds} seconds; send fewer or smaller pictures at a time"
            )
        return busy(f"the pictures had no turn within {seconds} seconds", 503)

    async def _tell_health(self) -> Health:
        if not self._queue.is_reading:
            raise HTTPException(503, "nothing is read any more; expected the service to be stopped and started again")
        return self._health

    async def _tell_figures(self) -> Response:
        return self._figures.page()

    async def _refuse(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, AnyHTTPException)
        detail = error.detail
        if error.status_code in (404, 405):
            asked = f"{request.method[:10]} {request.url.path[:100]}"
            detail = f"{asked}: expected POST /v1/read, GET /health, /metrics or /docs"
        return JSONResponse({"detail": detail}, error.status_code, error.headers)

    async def _admit(self, request: Request, error: Exception) -> Response:
        detail = f"a fault of the service ({type(error).__name__}); its log says more"
        return JSONResponse({"detail": detail}, 500)

    def _figures_of(self, found: Sequence[Sequence[Reading]]) -> None:
        for status, count in Counter(best_reading(one).status.partition(":")[0] for one in found).items():
            self._figures.pictures.labels(status).inc(count)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        path = scope["path"] if scope["path"] in self._paths else "other"
        self._figures.requests.labels(path, status).inc()
        self._figures.seconds.labels(path).observe(seconds)
        client = (scope.get("client") or ("-",))[0]
        self._log(f"{client} {scope['method'][:10]} {path} {status} {seconds:.3f} s")


async def _until_gone(request: Request) -> None:
    """Return when the caller, whose request is here as a whole, has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
