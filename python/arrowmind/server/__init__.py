"""An HTTP server with the interface of OpenAI's, over engines of this process (extra `server`).

::

    shelf        the models that are served, by name
    queries      JSON of a request -> what to generate, checked
    tools        tools that an answer may call, and calls that are read from it
    answers      what was generated -> JSON and chunks of a stream
    completions  the way of a text query: prepare, queue, follow, answer
    embeddings   texts -> vectors
    memories     /v1/memories: the operations of a memory; browsing: a page to look through one
    status       /v1/models, /health, /metrics
    guarding     API keys, sizes, time, counting
    failures     errors -> status and OpenAI's error object
    events       server-sent events to a client who may vanish
    app          all of it as an ASGI application
    running      listens until told to stop, then lets running answers end
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from arrowmind.errors import ConfigurationError

if TYPE_CHECKING:
    from arrowmind.server.app import create_app
    from arrowmind.server.guarding import ApiKeys
    from arrowmind.server.running import browse, serve
    from arrowmind.server.shelf import ModelShelf

__all__ = ["ApiKeys", "ModelShelf", "browse", "create_app", "serve"]

_HOMES = {
    "ApiKeys": "arrowmind.server.guarding",
    "browse": "arrowmind.server.running",
    "ModelShelf": "arrowmind.server.shelf",
    "create_app": "arrowmind.server.app",
    "serve": "arrowmind.server.running",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'arrowmind.server' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("starlette", "uvicorn"):
            raise
        raise ConfigurationError(
            f"the server needs {package}; install it with: pip install 'arrowmind[serve]'"
        ) from error
