"""The page's own files, and others' scripts from the packages that are installed: everything from here, nothing from elsewhere.

A Content-Security-Policy forbids other addresses and inline scripts. Requests that change something are refused where a browser
says they come from another site's page, and all requests where they call the server by a name that isn't its own.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from penchant.types import UnknownError

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Styles may stand inline, since Plotly's script writes its own; scripts may not."""
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
YEAR = 365 * 24 * 3600
PLOTLY = "plotly.min.js"
INSTALLED = {
    PLOTLY: ("plotly", "package_data"),
    "swagger-ui-bundle.js": ("fastapi_offline", "static"),
    "swagger-ui.css": ("fastapi_offline", "static"),
}
"""Files of other packages, and where they lie in these."""


@dataclass(frozen=True)
class Kept:
    """A file in memory, and compressed."""

    kind: str
    plain: bytes
    small: bytes
    mark: str

    @classmethod
    def of(cls, name: str, content: bytes) -> Kept:
        """A file by its name and content."""
        kind = next(kind for ending, kind in KINDS.items() if name.endswith(ending))
        mark = f'"{blake2b(content, digest_size=10).hexdigest()}"'
        return cls(f"{kind}; charset=utf-8", content, gzip.compress(content, 6, mtime=0), mark)

    def answer(self, request: Request, seconds: int) -> Response:
        """The file, or that the one the browser has is still right; to be kept so many seconds before asking again."""
        headers = HEADERS | {"ETag": self.mark, "Vary": "Accept-Encoding"}
        headers["Cache-Control"] = f"public, max-age={seconds}, immutable" if seconds else "no-cache"
        if self.mark in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.small, headers=headers | {"Content-Encoding": "gzip"}, media_type=self.kind)
        return Response(self.plain, headers=headers, media_type=self.kind)


def add_page(app: FastAPI) -> None:
    """Add the page at ``/``, the API's description at ``/docs``, their files below ``/page/``."""
    folder = files("penchant.server") / "page"
    found = {one.name: one.read_bytes() for one in folder.iterdir() if any(one.name.endswith(ending) for ending in KINDS)}
    found["index.html"] = found["index.html"].replace(b"{plotly}", _plotly_version().encode())
    kept = {name: Kept.of(name, content) for name, content in found.items()}

    @app.get("/", include_in_schema=False)
    @app.head("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return kept["index.html"].answer(request, 0)

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return kept["docs.html"].answer(request, 0)

    @app.get("/page/{name}", include_in_schema=False)
    async def file(request: Request, name: str) -> Response:
        if name in INSTALLED:  # an address with a version stays as it is
            return (await run_in_threadpool(_installed, name)).answer(request, YEAR if request.query_params.get("v") else 0)
        if name not in kept:
            raise UnknownError(f"the page has no file {name[:80]!r}")
        return kept[name].answer(request, 0)


def _plotly_version() -> str:
    try:
        return version("plotly")
    except PackageNotFoundError:
        return ""


@cache
def _installed(name: str) -> Kept:
    package, folder = INSTALLED[name]
    try:
        content = (files(package) / folder / name).read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise UnknownError(f"{name} is missing; install it with: pip install 'penchant[serve]'") from error
    return Kept.of(name, content)


class KnownNames:
    """ASGI middleware: who calls the server by a name that isn't one of its ``names`` is refused, so that another site can't
    let its own name lead here, and its pages read everything as pages of this server (DNS rebinding). Addresses in numbers,
    which lead nowhere else, and ``localhost`` are always its own.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower().rstrip(".") for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            host = next((value for header, value in scope["headers"] if header == b"host"), b"").decode("latin-1")
            if host and not self._own(_name(host)):
                said = f"this server doesn't answer to the name {host[:80]!r}; penchant serve --allow-host NAME lets it"
                await JSONResponse({"error": said}, 400)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _own(self, name: str) -> bool:
        name = name.rstrip(".")
        return name in self._names or name == "localhost" or name.endswith(".localhost") or numbers(name)


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def numbers(host: str) -> bool:
    """Whether a host is an address in numbers."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class SameOrigin:
    """ASGI middleware: a browser may change something only from a page of this server.

    Programs send neither of the two headers and aren't concerned.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if (
            scope["type"] == "http"
            and scope["method"] not in ("GET", "HEAD", "OPTIONS")
            and _foreign(dict(scope["headers"]).get)
        ):
            refusal = JSONResponse(
                {"error": "a page of another site asked for this change; only pages of this server may"}, 403
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _foreign(header: Callable[[bytes], bytes | None]) -> bool:
    if header(b"sec-fetch-site") in (b"cross-site", b"same-site"):
        return True
    origin = header(b"origin")
    try:
        return origin is not None and urlsplit(origin.decode("latin-1")).netloc.encode("latin-1") != header(b"host")
    except ValueError:  # no address at all
        return True
