"""Errors as clients of OpenAI's interface know them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from arrowmind.errors import InvalidArgumentError, OptimizationError, PermissionDeniedError, ResourceError
from arrowmind.faces import UnknownMemoryError
from arrowmind.observe import get_logger
from arrowmind.server.shelf import UnknownModelError

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = ["RequestError", "error_object", "failure", "respond"]

_log = get_logger("arrowmind.server")
# A place in the queue comes free when some text ends: seconds, not minutes.
_RETRY_SECONDS = "1"
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class RequestError(OptimizationError):
    """What is wrong with a request, and the status that says so."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def error_object(status: int, message: str, code: str | None = None) -> dict[str, Any]:
    """The JSON of an error."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def failure(error: Exception) -> tuple[int, dict[str, Any]]:
    """Status and JSON for an error. What is no error of ours is logged and not told."""
    if isinstance(error, RequestError):
        return error.status, error_object(error.status, str(error), error.code)
    if isinstance(error, UnknownModelError):
        return 404, error_object(404, str(error), "model_not_found")
    if isinstance(error, UnknownMemoryError):
        return 404, error_object(404, str(error), "memory_not_found")
    if isinstance(error, PermissionDeniedError):
        return 403, error_object(403, str(error), "permission_denied")
    if isinstance(error, InvalidArgumentError):
        return 400, error_object(400, str(error))
    if isinstance(error, ResourceError):
        return 429, error_object(429, str(error), "overloaded")
    _log.exception("a request failed")
    message = str(error) if isinstance(error, OptimizationError) else "internal error; see the server's log"
    return 500, error_object(500, message)


def respond(error: Exception) -> Response:
    """The response that tells an error."""
    status, content = failure(error)
    headers = {"Retry-After": _RETRY_SECONDS} if status == 429 else None
    if status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    return JSONResponse(content, status, headers)
