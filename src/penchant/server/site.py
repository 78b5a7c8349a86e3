"""The page's own files, and Plotly's script from the installed package: everything from here, nothing from elsewhere.

A Content-Security-Policy forbids other addresses and inline scripts. Requests that change something are refused where a browser
says they come from another site's page.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
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
    """Add the page at ``/``, its files below ``/page/``."""
    folder = files("penchant.server") / "page"
    found = {one.name: one.read_bytes() for one in folder.iterdir() if any(one.name.endswith(ending) for ending in KINDS)}
    found["index.html"] = found["index.html"].replace(b"{plotly}", _plotly_version().encode())
    kept = {name: Kept.of(name, content) for name, content in found.items()}

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return kept["index.html"].answer(request, 0)

    @app.get("/page/{name}", include_in_schema=False)
    async def file(request: Request, name: str) -> Response:
        if name == PLOTLY:  # its address holds the version
            return (await run_in_threadpool(_plotly)).answer(request, YEAR if request.query_params.get("v") else 0)
        if name not in kept:
            raise UnknownError(f"the page has no file {name[:80]!r}")
        return kept[name].answer(request, 0)


def _plotly_version() -> str:
    try:
        return version("plotly")
    except PackageNotFoundError:
        return ""


@cache
def _plotly() -> Kept:
    try:
        content = (files("plotly") / "package_data" / PLOTLY).read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise UnknownError("pictures need Plotly; install it with: pip install 'penchant[serve]'") from error
    return Kept.of(PLOTLY, content)


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
    return origin is not None and urlsplit(origin.decode("latin-1")).netloc.encode("latin-1") != header(b"host")
