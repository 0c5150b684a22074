"""The local web server of the page: it answers this machine alone, and only who was given its address.

* Others in the network: it listens on 127.0.0.1 alone.
* Other users of this machine: a random token in the address, then in a cookie that no script can read. The address that
  a browser is started with, which all users can see, opens the page once.
* Pages of strangers in the same browser: the cookie is not sent along with what they ask for, nothing is changed for
  them (Origin), and there is no CORS.
* A name of a stranger's that leads to 127.0.0.1 (DNS rebinding): the Host header has to name this machine.
* Bodies of any size: what is longer than the longest answer, or does not say how long it is, is not read.
* Texts and names that are HTML: the page's scripts write them as text, and the policy forbids scripts in the page.
* Paths of files: there are none in addresses, photographs have numbers.
"""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs

import uvicorn
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from lpr_e2e.annotation.answers import StaleAnswer
from lpr_e2e.annotation.desk import Desk
from lpr_e2e.annotation.pictures import NEAR_SIDE, SIDE
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.hosts import is_foreign, is_this_machine
from lpr_e2e.common.images import PictureError
from lpr_e2e.common.pages import STYLE

HOST = "127.0.0.1"
_COOKIE = "lpr_e2e_label"
_POLICY = (
    "default-src 'none'; img-src 'self' data:; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# Pictures never change while the server runs; their addresses hold what is new with every start.
_KEPT = {"Cache-Control": "private, max-age=3600"}
# The files of the page, and what they are.
_FILES = {
    "page.js": "text/javascript",
    "panel.js": "text/javascript",
    "boxes.js": "text/javascript",
    "server.js": "text/javascript",
    "page.css": "text/css",
}
# More than any photograph or plate has; and what the page asks for at once.
_MOST_PLATES, _MOST_CHARACTERS, _MOST_ASKED = 500, 200, 20
# No answer is longer, in bytes: a box, and six bytes for each character, as JSON may write it.
_MOST_BYTES = _MOST_PLATES * (200 + 6 * _MOST_CHARACTERS)
_SECRET_BYTES = 24
_PAGE_BYTES = 8
# After a request to end, open connections have so long, seconds.
_GRACE_SECONDS = 1

Number = Annotated[float, Field(allow_inf_nan=False)]
# What tells a page from others that are open.
Page = Annotated[str, Field(max_length=2 * _PAGE_BYTES)]


class GivenPlate(BaseModel):
    """A plate as the page sends it: its box, yxyx in pixels of the photograph, and its text; "" cannot be read."""

    model_config = ConfigDict(extra="forbid")
    box: tuple[Number, Number, Number, Number]
    text: Annotated[str, Field(max_length=_MOST_CHARACTERS)]


class GivenAnswer(BaseModel):
    """An answer as the page sends it: its plates, None to take it back; and the revision that it was made from."""

    model_config = ConfigDict(extra="forbid")
    revision: str
    plates: Annotated[list[GivenPlate], Field(max_length=_MOST_PLATES)] | None


class Asked(BaseModel):
    """What the page asks for: so many photographs, and none of those that it has already."""

    model_config = ConfigDict(extra="forbid")
    page: Page
    count: Annotated[int, Field(ge=1, le=_MOST_ASKED)]
    without: Annotated[list[int], Field(max_length=_MOST_ASKED)]


class Leaving(BaseModel):
    """What a page says when it is closed."""

    model_config = ConfigDict(extra="forbid")
    page: Page


def make_site(desk: Desk, token: str, tickets: set[str]) -> FastAPI:
    """The web application; every request has to bring the token, see `lpr_e2e.annotation.site`.

    Args:
        desk: what it shows.
        token: a secret.
        tickets: further secrets, each of which opens the page once, in place of the token; used ones are removed.
    """
    site = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _add_page(site)
    _add_pictures(site, desk)
    _add_answers(site, desk)

    @site.exception_handler(UserError)
    def wrong(request: Request, error: UserError) -> JSONResponse:
        return JSONResponse({"message": str(error)}, status_code=422)

    @site.exception_handler(RequestValidationError)
    def misunderstood(request: Request, error: RequestValidationError) -> JSONResponse:
        # Without what was sent, which may be nothing that JSON can hold: no number, half a character.
        return JSONResponse({"message": f"not understood: {error.errors()[0]['msg']}"}, status_code=422)

    @site.exception_handler(OSError)
    def unwritten(request: Request, error: OSError) -> JSONResponse:
        return JSONResponse({"message": f"The answer is not on disk: {error}"}, status_code=500)

    @site.middleware("http")
    async def guard(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        response = _refusal(request, token, tickets) or await call(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return site


def _refusal(request: Request, token: str, tickets: set[str]) -> Response | None:
    """The answer to a request that is none of ours; None if it may go on."""
    host = request.headers.get("host", "")  # With any port: a tunnel may lead here.
    # A page of a stranger's says where it is from with all that could change something.
    changes = request.method != "GET"
    if not is_this_machine(host) or (changes and is_foreign(request.headers.get("origin"), host)):
        return Response("Open this page by the address that the program prints.", 403, media_type="text/plain")
    cookie = f"{_COOKIE}_{request.scope['server'][1]}"  # A browser knows no ports of cookies.
    given = parse_qs(request.url.query).get("token", [""])[-1]
    is_ticket = given in tickets
    tickets.discard(given)
    if request.url.path == "/" and (is_ticket or secrets.compare_digest(given.encode(), token.encode())):
        # Out of the address, which stays in the history and is easily passed on.
        response = RedirectResponse("/", 303)
        response.set_cookie(cookie, token, httponly=True, samesite="lax")
        return response
    if not secrets.compare_digest(request.cookies.get(cookie, "").encode(), token.encode()):
        said = "Open this page by the whole address that the program prints, with its token."
        return Response(said, 403, media_type="text/plain")
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not length.isdecimal() or int(length) > _MOST_BYTES:
        return Response(f"expected at most {_MOST_BYTES} bytes, and their number", 413, media_type="text/plain")
    return None


def _add_page(site: FastAPI) -> None:
    """The page, its style and its scripts."""
    folder = Path(__file__).parent

    @site.get("/")
    def page() -> Response:
        return Response((folder / "page.html").read_bytes(), media_type="text/html; charset=utf-8")

    @site.get("/files/{name}")
    def file(name: str) -> Response:
        if name not in _FILES:
            return Response("no such file", 404, media_type="text/plain")
        content = (folder / name).read_text(encoding="utf-8")
        if name == "page.css":
            content = f"{STYLE}\n{content}"
        return Response(content, media_type=f"{_FILES[name]}; charset=utf-8")


def _add_pictures(site: FastAPI, desk: Desk) -> None:
    """Photographs and plates as pictures. `of` in their addresses is new with every start, for the browser's cache."""

    def shown(make: Callable[[], bytes]) -> Response:
        try:
            return Response(make(), media_type="image/jpeg", headers=_KEPT)
        except PictureError as error:
            return Response(str(error), 404, media_type="text/plain")

    @site.get("/photographs/{number}/picture")
    def picture(number: int, near: bool = False) -> Response:
        return shown(lambda: desk.pictures.whole(desk.path(number), NEAR_SIDE if near else SIDE))

    @site.get("/photographs/{number}/plate")
    def plate(number: int, box: Annotated[list[Number], Query(min_length=4, max_length=4)]) -> Response:
        return shown(lambda: desk.pictures.cut(desk.path(number), box))


def _add_answers(site: FastAPI, desk: Desk) -> None:
    """What the page's scripts ask for and say."""
    session = secrets.token_hex(4)

    def begin() -> dict[str, Any]:
        folder = desk.beginning.folder.resolve().name
        page = secrets.token_hex(_PAGE_BYTES)
        begun = {"folder": folder, "session": session, "page": page, "recent": desk.recent()}
        return begun | {"progress": desk.progress()}

    def ask(asked: Asked) -> dict[str, Any]:
        found = desk.next(asked.count, asked.without, asked.page)
        return {"numbers": found, "reading": desk.is_reading, "progress": desk.progress()}

    def show(number: int) -> dict[str, Any]:
        return desk.photograph(number)

    def answer(number: int, given: GivenAnswer) -> Response:
        plates = None if given.plates is None else [(one.box, one.text) for one in given.plates]
        try:
            desk.answer(number, plates, given.revision)
        except StaleAnswer as error:
            return JSONResponse({"message": str(error), "photograph": desk.photograph(number)}, 409)
        return JSONResponse({"photograph": desk.photograph(number), "progress": desk.progress()})

    def put_off(number: int) -> dict[str, Any]:
        desk.path(number)
        desk.put_off(number)
        return {"progress": desk.progress()}

    def leave(leaving: Leaving) -> Response:
        desk.leave(leaving.page)
        return Response(status_code=204)

    site.get("/begin")(begin)
    site.post("/next")(ask)
    site.post("/leave")(leave)
    site.get("/photographs/{number}")(show)
    site.put("/photographs/{number}")(answer)
    site.post("/photographs/{number}/later")(put_off)


class Server:
    """Serves a desk on 127.0.0.1 in a thread of its own; to be used in a `with` statement.

    Args:
        desk: what is served.
        port: where; 0 takes a free one.

    Raises:
        UserError: the port is taken.

    Attributes:
        address: what to open in a browser, with the token.
    """

    def __init__(self, desk: Desk, port: int = 0):
        token = secrets.token_urlsafe(_SECRET_BYTES)
        self._tickets: set[str] = set()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._socket.bind((HOST, port))
            self._socket.listen()  # Whoever opens the page before the server has started waits, and is not refused.
        except OSError as error:
            self._socket.close()
            raise UserError(f"--port {port}: {error.strerror}; expected a free one, or leave it out") from None
        self._place = f"http://{HOST}:{self._socket.getsockname()[1]}/?token="
        self.address = self._place + token
        config = uvicorn.Config(
            make_site(desk, token, self._tickets),
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(2 * _GRACE_SECONDS)
        self._socket.close()

    def address_for_once(self) -> str:
        """An address that opens the page once: for the command line of a browser, which every user can see."""
        ticket = secrets.token_urlsafe(_SECRET_BYTES)
        self._tickets.add(ticket)
        return self._place + ticket

    def wait(self, is_done: Callable[[], bool] = lambda: False) -> None:
        """Serve until it is done, or something else ends it, such as Ctrl-C."""
        while self._thread.is_alive() and not is_done():
            self._thread.join(1)
