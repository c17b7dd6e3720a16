"""Writes safetensors and GGUF files field by field, so that each field can lie."""

from __future__ import annotations

import json
import struct
from typing import Any

NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


def safetensors(header: Any, data: bytes = b"", *, declared: int | None = None) -> bytes:
    """A file with ``header`` as JSON (bytes: as they are)."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if declared is None else declared) + text + data


def string(text: str | bytes, *, declared: int | None = None) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data) if declared is None else declared) + data


def value(kind: int, content: Any) -> bytes:
    """A value without its type."""
    return string(content) if kind == STRING else struct.pack("<" + NUMBERS[kind], content)


def entry(key: str | bytes, kind: int, content: Any) -> bytes:
    """An entry of metadata; ``content`` of an array is its bytes."""
    body = content if kind == ARRAY else value(kind, content)
    return string(key) + struct.pack("<I", kind) + body


def array(kind: int, items: list[bytes], *, count: int | None = None) -> bytes:
    return struct.pack("<IQ", kind, len(items) if count is None else count) + b"".join(items)


def tensor(name: str | bytes, sizes: list[int], kind: int, offset: int, *, rank: int | None = None) -> bytes:
    """A description; ``sizes`` fastest first, as in the file."""
    shape = struct.pack("<I", len(sizes) if rank is None else rank) + struct.pack(f"<{len(sizes)}Q", *sizes)
    return string(name) + shape + struct.pack("<IQ", kind, offset)


def gguf(
    entries: list[bytes] | None = None,
    tensors: list[bytes] | None = None,
    data: bytes = b"",
    *,
    alignment: int = 32,
    **head: Any,
) -> bytes:
    """A file; ``head`` may replace ``magic``, ``version``, ``n_tensors`` and ``n_kv``."""
    entries, tensors = entries or [], tensors or []
    result = head.get("magic", b"GGUF") + struct.pack(
        "<IQQ",
        head.get("version", 3),
        head.get("n_tensors", len(tensors)),
        head.get("n_kv", len(entries)),
    )
    result += b"".join(entries) + b"".join(tensors)
    return result + bytes(-len(result) % alignment if data else 0) + data


def write_gguf(metadata: dict[str, Any], tensors: dict[str, tuple[str, tuple[int, ...], bytes]]) -> bytes:
    """A sound file from Python values: int -> u32, float -> f32, and lists of them, and of str.

    Args:
        metadata: by key.
        tensors: type, shape (rows first) and blocks, by name.
    """
    from arrowmind import _native

    entries = [entry(key, *_typed(content)) for key, content in metadata.items()]
    described, data = [], b""
    for name, (kind, shape, blocks) in tensors.items():
        described.append(tensor(name, list(reversed(shape)), _native.gguf_type(kind)[0], len(data)))
        data += bytes(blocks) + bytes(-len(blocks) % 32)
    return gguf(entries, described, data)


def _typed(content: Any) -> tuple[int, Any]:
    if isinstance(content, list):
        kind = _kind(content[0])
        return ARRAY, array(kind, [value(kind, item) for item in content])
    return _kind(content), content


def _kind(content: Any) -> int:
    kinds: dict[type, int] = {bool: 7, int: 4, float: 6, str: STRING, bytes: STRING}
    return 5 if isinstance(content, int) and content < 0 else kinds[type(content)]
