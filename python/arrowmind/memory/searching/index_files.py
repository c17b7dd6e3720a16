"""Whether the files of a text index are as they were written.

tantivy ends each file of a segment with a checksum, and looks at none of them when it opens an index. Its
`meta.json` has none: the catalogue notes one, together with the number of the last operation.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

from arrowmind.columnar import crc32c

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["damaged_file", "state_of"]

_META = "meta.json"
# <JSON with "crc"><bytes of it, u32><1337, u32>
_END = struct.Struct("<II")
_MAGIC = 1337


def state_of(folder: Path) -> str:
    """What the catalogue notes of an index: number of the last operation, checksum of `meta.json`.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged.
    """
    data = (folder / _META).read_bytes()
    return f"{int(json.loads(data)['opstamp'])} {crc32c(data)}"


def damaged_file(folder: Path, noted: str | None) -> str:
    """The first damaged file of an index; empty if there is none.

    Args:
        folder: of the index.
        noted: what `state_of` said when the index was written last; None if that is not known. An earlier
            or later commit, as a power cut or a killed process leaves it, is no damage.
    """
    try:
        data = (folder / _META).read_bytes()
        meta = json.loads(data)
        segments = dict(map(_deletions, meta["segments"]))
        if noted is not None:
            operation, checksum = map(int, noted.split())
            if int(meta["opstamp"]) == operation and crc32c(data) != checksum:
                return _META
    except (OSError, ValueError, KeyError, TypeError):
        return _META
    for path in sorted(folder.iterdir()):
        segment = path.name.partition(".")[0]
        # Deletions that a commit began to write, and did not come to name, are nothing.
        is_named = segment in segments and (path.suffix != ".del" or path.name == segments[segment])
        if is_named and not _is_whole(path):
            return path.name
    return ""


def _deletions(segment: dict[str, Any]) -> tuple[str, str]:
    """A segment in `meta.json`, and the file that says which of its memories are deleted; empty for none."""
    name, deletes = str(segment["segment_id"]).replace("-", ""), segment["deletes"]
    return name, "" if deletes is None else f"{name}.{int(deletes['opstamp'])}.del"


def _is_whole(path: Path) -> bool:
    try:
        data = memoryview(path.read_bytes())
        size, magic = _END.unpack(data[-_END.size :])
        end = len(data) - _END.size - size
        return magic == _MAGIC and end >= 0 and _sum(data[end : -_END.size]) == zlib.crc32(data[:end])
    except FileNotFoundError:
        return True  # Another process has merged it away.
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return False


def _sum(footer: memoryview) -> int:
    return int(json.loads(bytes(footer))["crc"])
