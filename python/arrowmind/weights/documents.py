"""Small JSON files of a model folder, read within bounds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from arrowmind.errors import WeightError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MAX_JSON_BYTES", "encode_json", "read_json", "read_json_object"]

MAX_JSON_BYTES = 64 << 20
"""More than any configuration, tokenizer or index has; a bound on what a hostile folder can make us read."""


def read_json(path: Path) -> Any:
    """The JSON value in a file.

    Raises:
        WeightError: the file is missing, too large, or not JSON.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_JSON_BYTES + 1)
    except FileNotFoundError as error:
        raise WeightError(f"{path} is missing; give a complete model folder") from error
    except OSError as error:
        raise WeightError(f"{path} cannot be read ({error.strerror}); check its rights") from error
    if len(data) > MAX_JSON_BYTES:
        raise WeightError(f"{path} is larger than {MAX_JSON_BYTES} bytes; it does not belong to a model")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise WeightError(f"{path} is not JSON ({error}); download or copy it again") from error


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; raises like :func:`read_json`, and for any other value."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise WeightError(f"{path} holds a {type(value).__name__}, an object is needed; copy it again")
    return value


def encode_json(value: Any) -> bytes:
    """JSON for people to read: indented, UTF-8, ending in a newline."""
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()
