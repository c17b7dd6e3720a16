"""Cold memories in a file: one-bit codes that are searched, everything else in compressed blocks.

An Arrow file whose rows are parts: a dictionary, columns of numbers, the codes, blocks of texts, and blocks
of those vectors that no encoder makes again. An encoder is deterministic, so all others are left out: what
comes back is encoded again. The format is docs/formats/cold-blocks.md.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.columnar import ArrowWriter, Field
from arrowmind.columnar.files import PLAIN
from arrowmind.columnar.row_blocks import MAX_DICTIONARY_BYTES, pack_block, unpack_block
from arrowmind.errors import MemoryStoreError, OptimizationError, StorageError
from arrowmind.memory.resting import may_rest
from arrowmind.memory.steps import reached
from arrowmind.memory.storage.cold_blocks import Blocks, ColdTexts, ColdVectors
from arrowmind.memory.storage.cold_content import NUMBERS
from arrowmind.memory.storage.segment import file_checksum
from arrowmind.memory.storage.tables import COLD_SUFFIX, SegmentRow
from arrowmind.memory.storage.vectors import ROTATION_SEED, row_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from arrowmind.columnar import ArrowFile
    from arrowmind.columnar.files import Files
    from arrowmind.memory.storage.cold_content import ColdContent
    from arrowmind.memory.storage.segment import SegmentWriter

    IntArray = npt.NDArray[np.int64]
    ByteArray = npt.NDArray[np.uint8]

__all__ = ["MAX_COLD_BYTES", "ColdFile", "write_cold"]

_FORMAT = "arrowmind.cold-memories"
_VERSION = "3"
# Version 2 kept no vectors; its tables lack the number that says so.
_WITHOUT_VECTORS = "2"
_FIELDS = [
    Field("part", "utf8"),
    Field("rows", "int32"),
    Field("data", "binary"),
]
MAX_COLD_BYTES = 16 << 20
"""Text and metadata of a memory that may be cold: a block has at most 64 MiB."""

# With fewer rows in a block they share less, with more one of them costs more to read.
_BLOCK_ROWS = 64
_BLOCK_BYTES = 256 << 10
_FACT_ROWS = 16_384
# A dictionary is worth it as long as it is not much of the whole.
_DICTIONARY_SHARE = 4
# Of one vector a whole block is read: 64 of them cost 0.1 ms.
_BLOCK_VECTORS = 64


def write_cold(writer: SegmentWriter, content: ColdContent) -> SegmentRow:
    """Publishes a cold file; it becomes part of the store when the catalogue names it.

    Args:
        writer: knows the folder, the store and the space.
        content: at least one memory.

    Returns:
        What the catalogue notes; the id is 0.

    Raises:
        MemoryStoreError: there is no room, or the folder cannot be written.
    """
    ids = content.numbers["id"]
    path = writer.folder / f"{secrets.token_hex(8)}{COLD_SUFFIX}"
    parts = list(_parts(content))
    metadata = {
        "arrowmind.format": _FORMAT,
        "arrowmind.version": _VERSION,
        "arrowmind.store": writer.store,
        "arrowmind.encoder": writer.space.encoder,
        "arrowmind.space": writer.space.name,
        "arrowmind.tried": content.tried,
        "arrowmind.dimension": str(writer.space.dimension),
        "arrowmind.rotation_seed": str(ROTATION_SEED),
    }
    try:
        with writer.files.publish(path) as file, ArrowWriter(file, _FIELDS, metadata) as arrow:
            arrow.write_batch(
                {
                    "part": [name for name, _, _ in parts],
                    "rows": np.array([rows for _, rows, _ in parts], dtype=np.int32),
                    "data": [data for _, _, data in parts],
                }
            )
        reached("cold.published")
        size, checksum = path.stat().st_size, file_checksum(path)
    except (StorageError, OSError) as error:
        raise MemoryStoreError(f"cold memories {path} cannot be written: {error}") from error
    counts = (len(ids), len(content.signs), int(ids[0]), int(ids[-1]))
    return SegmentRow(0, path.name, *counts, size, checksum, 0, writer.space.id)


def _parts(content: ColdContent) -> Iterator[tuple[str, int, bytes]]:
    """Name, rows and bytes of each part."""
    dictionary = _dictionary(content.texts)
    yield "dictionary", 1, pack_block([dictionary])
    ids = content.numbers["id"]
    for start in range(0, len(ids), _FACT_ROWS):
        rows = slice(start, start + _FACT_ROWS)
        planes = [_planes(content.numbers[name][rows]) for name in NUMBERS]
        yield "numbers", len(ids[rows]), pack_block(planes, "zlib")
    yield "signs", len(content.signs), np.ascontiguousarray(content.signs).tobytes()
    for start, end in _blocks(content):
        may_rest()
        both = [*content.texts[start:end], *content.metadata[start:end]]
        yield "texts", end - start, pack_block(both, "dictionary", dictionary)
    yield "scales", len(content.scales), pack_block([content.scales.astype("<f4").tobytes()], "zlib")
    for start in range(0, len(content.codes), _BLOCK_VECTORS):
        may_rest()
        codes = content.codes[start : start + _BLOCK_VECTORS]
        yield "vectors", len(codes), pack_block([row.tobytes() for row in codes], "zlib")


def _dictionary(texts: Sequence[bytes]) -> bytes:
    """Texts from all over."""
    total = sum(map(len, texts))
    wanted = min(MAX_DICTIONARY_BYTES, total // _DICTIONARY_SHARE)
    step = max(1, total // max(wanted, 1))
    return b"".join(text[:1024] for text in texts[::step])[:wanted]


def _blocks(content: ColdContent) -> Iterator[tuple[int, int]]:
    """Where blocks of texts begin and end."""
    start = size = 0
    for row, (text, metadata) in enumerate(zip(content.texts, content.metadata, strict=True)):
        size += len(text) + len(metadata)
        if row > start and (row - start == _BLOCK_ROWS or size > _BLOCK_BYTES):
            yield start, row
            start, size = row, len(text) + len(metadata)
    yield start, len(content.texts)


def _planes(values: IntArray) -> bytes:
    """Differences, the lowest bytes of all first: the high bytes of small differences are all alike."""
    differences = np.diff(values, prepend=np.int64(0)).astype("<i8")
    data: bytes = np.frombuffer(differences.tobytes(), np.uint8).reshape(-1, 8).T.tobytes()
    return data


def _values(planes: bytes) -> IntArray:
    differences = np.frombuffer(np.frombuffer(planes, np.uint8).reshape(8, -1).T.tobytes(), dtype="<i8")
    return np.cumsum(differences.astype(np.int64))


class ColdFile:
    """A mapped file of cold memories.

    Attributes:
        numbers: int64 [n] for each of `NUMBERS`.
        signs: uint8 [vectors, bytes], mapped.
        texts: of all memories.
        vectors: of those whose number ``kept`` is 1.
        tried: fingerprint of the encoder that does not make these again; empty if none was there.
    """

    numbers: dict[str, IntArray]
    signs: ByteArray
    texts: ColdTexts
    vectors: ColdVectors
    tried: str

    def __init__(self, path: Path, expected: SegmentRow, dimension: int, files: Files = PLAIN) -> None:
        """Maps the file and reads its numbers.

        Raises:
            FileNotFoundError: it is gone, as after a compaction by another process.
            MemoryStoreError: it is damaged or not what the catalogue says.
        """
        size = path.stat().st_size
        try:
            if size != expected.bytes:
                raise MemoryStoreError(f"has {size} bytes, the catalogue says {expected.bytes}")
            self._read(files.open_arrow(path), path.name, dimension)
            found = (len(self.numbers["id"]), len(self.signs))
            if found != (expected.records, expected.vectors):
                raise MemoryStoreError(
                    f"has {found[0]} memories with {found[1]} vectors, the catalogue says {expected.records} "
                    f"with {expected.vectors}"
                )
        except (OptimizationError, ValueError, KeyError) as error:
            if not path.exists():
                raise FileNotFoundError(path) from error
            raise MemoryStoreError(
                f"cold memories {path} cannot be used: {error}; restore the store from a backup"
            ) from error

    def _read(self, file: ArrowFile, name: str, dimension: int) -> None:
        version = _checked(file.metadata, dimension)
        self.tried = file.metadata.get("arrowmind.tried", "")
        batch = file.batch(0)
        names, counts, data = batch.strings("part"), batch.numbers("rows"), batch.binary("data")

        def parts(wanted: str) -> list[tuple[int, Any]]:
            return [(int(counts[i]), data[i]) for i, part in enumerate(names) if part == wanted]

        ((_, packed),) = parts("dictionary")
        (dictionary,) = unpack_block(bytes(packed), name)
        columns = NUMBERS if version == _VERSION else NUMBERS[:-1]
        tables = [_table(count, bytes(part), name, columns) for count, part in parts("numbers")]
        self.numbers = {column: np.concatenate([table[column] for table in tables]) for column in columns}
        memories = len(self.numbers["id"])
        kept = self.numbers.setdefault("kept", np.zeros(memories, np.int64))
        ((vectors, signs),) = parts("signs")
        width = row_bytes(dimension)
        windows = self.numbers["windows"]
        if signs.size != vectors * width or windows.min() < 1 or int(windows.sum()) != vectors:
            raise MemoryStoreError(f"{name}: has {signs.size} bytes of codes for {vectors} vectors")
        self.signs = signs.reshape(vectors, width)
        self.texts = ColdTexts(*_blocks_of(parts("texts")), name, dictionary)
        if len(self.texts) != memories:
            raise MemoryStoreError(f"{name}: has texts of other memories")
        scales = [(count, bytes(part)) for count, part in parts("scales")]
        self.vectors = _vectors(scales, Blocks(*_blocks_of(parts("vectors")), name), dimension, name)
        if len(self.vectors) != int(windows[kept == 1].sum()):
            raise MemoryStoreError(f"{name}: has vectors of other memories")


def _checked(facts: Mapping[str, str], dimension: int) -> str:
    """The version of a file of this format."""
    version = facts.get("arrowmind.version", "")
    if facts.get("arrowmind.format") != _FORMAT or version not in (_WITHOUT_VECTORS, _VERSION):
        raise MemoryStoreError(f"is no file of cold memories of version {_VERSION} (has {version!r})")
    if facts["arrowmind.dimension"] != str(dimension):
        raise MemoryStoreError(f"has dimension {facts['arrowmind.dimension']}, the store has {dimension}")
    return version


def _table(count: int, data: bytes, name: str, columns: Sequence[str]) -> dict[str, IntArray]:
    planes = unpack_block(data, name)
    if len(planes) != len(columns) or any(len(plane) != 8 * count for plane in planes):
        raise MemoryStoreError(f"{name}: does not hold the numbers of {count} memories")
    return {column: _values(plane) for column, plane in zip(columns, planes, strict=True)}


def _blocks_of(parts: Sequence[tuple[int, Any]]) -> tuple[list[Any], list[int]]:
    """The blocks of some parts, and the rows of each."""
    if any(count < 1 for count, _ in parts):
        raise MemoryStoreError("has a block of no rows")
    return [data for _, data in parts], [count for count, _ in parts]


def _vectors(scales: Sequence[tuple[int, bytes]], blocks: Blocks, dimension: int, name: str) -> ColdVectors:
    rows = [unpack_block(part, name) for _, part in scales]
    values = np.frombuffer(b"".join(row for part in rows for row in part), dtype="<f4")
    if len(values) != sum(count for count, _ in scales) or len(values) != len(blocks):
        raise MemoryStoreError(f"{name}: has {len(values)} lengths for {len(blocks)} vectors")
    return ColdVectors(blocks, values, dimension)
