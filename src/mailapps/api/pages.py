"""The interactive page at /docs and the description behind it; all files are ours, none comes from elsewhere."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from litestar import Response, get
from litestar.params import FromPath

from mailapps.api.body import ApiRequest
from mailapps.api.config import ApiConfig
from mailapps.api.problems import ApiCode, RefusedError

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing inline, nothing from elsewhere; Swagger UI shows its icons as data."""

_ASSETS: Final = Path(__file__).parent / "assets"
_FILES: Final = {
    "swagger-ui.css": ("swagger-ui/swagger-ui.css", "text/css"),
    "swagger-ui-bundle.js": ("swagger-ui/swagger-ui-bundle.js", "text/javascript"),
    "favicon.png": ("swagger-ui/favicon-32x32.png", "image/png"),
    "start.js": ("start.js", "text/javascript"),
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>mailcore API</title>
<link rel="icon" type="image/png" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<noscript>Without JavaScript, read <a href="/schema/openapi.json">the description itself</a>.</noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""


@get("/docs", include_in_schema=False)
async def show_docs() -> Response[bytes]:
    """Show the interactive page."""
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    return Response(_PAGE.encode(), media_type="text/html", headers=headers)


@get("/docs/{name:str}", include_in_schema=False)
async def show_asset(name: FromPath[str]) -> Response[bytes]:
    """Return a file that the page loads."""
    if name not in _FILES:
        raise RefusedError(ApiCode.NOT_FOUND, "the page has no such file")
    path, media_type = _FILES[name]
    return Response(_read(path), media_type=media_type, headers={"Cache-Control": "max-age=3600"})


@get("/schema/openapi.json", include_in_schema=False)
async def show_description(request: ApiRequest) -> Response[bytes]:
    """Return the OpenAPI description of every route."""
    config: ApiConfig = request.app.state["config"]
    headers = {"Cache-Control": "no-cache"}
    return Response(_described(config.version), media_type="application/json", headers=headers)


@cache
def _read(path: str) -> bytes:
    """Return a file of this package."""
    return (_ASSETS / path).read_bytes()


@cache
def _described(version: str) -> bytes:
    """Return the description; made when it is first asked for, so that no start waits for it."""
    from mailapps.api.openapi import document

    return document(version)


ROUTES: Final = (show_docs, show_asset, show_description)
