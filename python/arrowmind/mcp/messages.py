"""Messages of JSON-RPC 2.0, one in each line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "INTERNAL_ERROR",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "METHOD_NOT_FOUND",
    "OVERLOADED",
    "PARSE_ERROR",
    "Message",
    "ProtocolError",
    "encoded",
    "failed",
    "parse",
    "read_lines",
    "succeeded",
]

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
OVERLOADED = -32000

_PIECE = 1 << 16


class ProtocolError(Exception):
    """What is wrong with a message, in the numbers of JSON-RPC.

    Attributes:
        code: the number.
        data: more about it, if there is.
        id: of the request, as far as it is known.
    """

    def __init__(self, code: int, message: str, data: Any = None, id_: int | str | None = None) -> None:
        super().__init__(message)
        self.code, self.data, self.id = code, data, id_


@dataclass(frozen=True)
class Message:
    """A request, or a notification if it has no id.

    Attributes:
        method: what is asked for.
        params: with what.
        id: what its answer is to carry; None wants no answer.
    """

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)
    id: int | str | None = None

    @property
    def meta(self) -> Mapping[str, Any]:
        """What the client says beside the parameters."""
        meta = self.params.get("_meta")
        return meta if isinstance(meta, dict) else {}


def read_lines(stream: BinaryIO, most: int) -> Iterator[bytes | None]:
    """The lines of a stream that are not blank; None stands for one of more than `most` bytes."""
    while line := stream.readline(most + 1):
        if len(line) > most:
            while not line.endswith(b"\n") and (line := stream.readline(_PIECE)):
                pass
            yield None
        elif line.strip():
            yield line


def parse(line: bytes) -> Message | None:
    """The message of a line; None for an answer, as nothing is asked of clients.

    Raises:
        ProtocolError: it is none.
    """
    try:
        value = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(PARSE_ERROR, f"the line is no JSON: {error!s:.200}") from None
    if not isinstance(value, dict):
        raise ProtocolError(INVALID_REQUEST, f"a JSON {type(value).__name__}; send one message a line")
    id_ = value.get("id")
    if isinstance(id_, bool) or not isinstance(id_, int | str | None):
        raise ProtocolError(INVALID_REQUEST, f"id is {id_!r:.60}; use a whole number or a text")
    if value.get("jsonrpc") != "2.0":
        raise ProtocolError(INVALID_REQUEST, "jsonrpc is not '2.0'", id_=id_)
    if "method" not in value and ("result" in value or "error" in value):
        return None
    method, params = value.get("method"), value.get("params", {})
    if not isinstance(method, str):
        raise ProtocolError(INVALID_REQUEST, f"method is {method!r:.60}; name one", id_=id_)
    if not isinstance(params, dict):
        raise ProtocolError(INVALID_PARAMS, f"params is {params!r:.60}; use an object", id_=id_)
    return Message(method, params, id_)


def succeeded(id_: int | str, result: Mapping[str, Any]) -> dict[str, Any]:
    """An answer."""
    return {"jsonrpc": "2.0", "id": id_, "result": result}


def failed(error: ProtocolError) -> dict[str, Any]:
    """The answer that tells an error."""
    told = {"code": error.code, "message": str(error)}
    if error.data is not None:
        told["data"] = error.data
    return {"jsonrpc": "2.0", "id": error.id, "error": told}


def encoded(message: Mapping[str, Any]) -> bytes:
    """A message as a line of ASCII: no character within it ends a line for any reader."""
    text = json.dumps(message, allow_nan=False, separators=(",", ":"))
    if "\\ud" in text:  # halves of characters: those without the other half are no text
        whole = json.dumps(message, allow_nan=False, ensure_ascii=False)
        whole = whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        text = json.dumps(json.loads(whole), separators=(",", ":"))
    return f"{text}\n".encode("ascii")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
