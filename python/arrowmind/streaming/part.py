"""One file of blocks: written once, mapped while it is looked at, taken for hostile when it is read.

What ranks blocks (terms, summary) is checked for form alone; what enters a model (tokens, keys, values) is
compared with the checksum of its row.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.columnar import ArrowFile, ArrowWriter, Field, crc32c, publish
from arrowmind.errors import OptimizationError, StorageError
from arrowmind.streaming.block import GRADES, Block
from arrowmind.streaming.terms import term_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from arrowmind.columnar import Batch

__all__ = ["BlockIndex", "StoreIdentity", "index_of", "open_part", "read_block", "write_part"]

FORMAT = "arrowmind.stream-blocks"
VERSION = "1"
_LARGEST_CODE = 127


@dataclasses.dataclass(frozen=True)
class StoreIdentity:
    """What blocks belong to: another model could not use them.

    Attributes:
        fingerprint: Of the model.
        block_tokens: Tokens of a block.
        dimension: Of summaries.
        exact: Format of exact keys and values.
        exact_bytes: Of a block in it.
        codes: Format of quantised ones.
        code_bytes: Of a block in it.
    """

    fingerprint: str
    block_tokens: int
    dimension: int
    exact: str
    exact_bytes: int
    codes: str
    code_bytes: int

    def metadata(self) -> dict[str, str]:
        """As files hold it."""
        own = {f"arrowmind.{name}": str(value) for name, value in dataclasses.asdict(self).items()}
        return {"arrowmind.format": FORMAT, "arrowmind.version": VERSION, **own}

    @property
    def largest_payload(self) -> int:
        """Bytes of keys and values of a block at most."""
        return max(self.exact_bytes, self.code_bytes)

    def payload_bytes(self, grade: int) -> int:
        """Bytes of keys and values in a grade, by its number."""
        return (self.exact_bytes, self.code_bytes, 0)[grade]


@dataclasses.dataclass(frozen=True)
class BlockIndex:
    """What blocks are ranked by, of consecutive blocks; views of a mapping, or of memory.

    Attributes:
        first: Number of the first block.
        tokens: int32 [blocks, block_tokens].
        terms: uint32 [blocks, term_columns].
        codes: int8 [blocks, dimension]; a summary is its codes times its scale.
        scales: float32 [blocks].
    """

    first: int
    tokens: NDArray[np.int32]
    terms: NDArray[np.uint32]
    codes: NDArray[np.int8]
    scales: NDArray[np.float32]


def fields(identity: StoreIdentity) -> list[Field]:
    """Columns of a file."""
    size = identity.block_tokens
    return [
        Field("position", "int64"),
        Field("tokens", f"fixed_size_list<int32, {size}>"),
        Field("grade", "uint8"),
        Field("terms", f"fixed_size_list<uint32, {term_columns(size)}>"),
        Field("summary", f"fixed_size_list<int8, {identity.dimension}>"),
        Field("scale", "float32"),
        Field("payload", "large_binary"),
        Field("checksum", "uint32"),
    ]


def write_part(path: Path, identity: StoreIdentity, blocks: Sequence[Block]) -> None:
    """Publishes a file of blocks.

    Raises:
        StorageError: the folder cannot be written, or the disk is full.
    """
    codes, scales = summaries_of(blocks)
    columns = {
        "position": np.array([block.position for block in blocks], np.int64),
        "tokens": np.stack([block.tokens for block in blocks]),
        "grade": np.array([GRADES.index(block.grade) for block in blocks], np.uint8),
        "terms": np.stack([block.terms for block in blocks]),
        "summary": codes,
        "scale": scales,
        "payload": [block.payload for block in blocks],
        "checksum": np.array([_checksum(block) for block in blocks], np.uint32),
    }
    with publish(path) as file, ArrowWriter(file, fields(identity), identity.metadata()) as writer:
        writer.write_batch(columns)


def summaries_of(blocks: Sequence[Block]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Summaries as codes [blocks, dimension] and scales [blocks]; what is no number becomes 0."""
    vectors = np.nan_to_num(np.stack([block.summary for block in blocks]), posinf=0, neginf=0)
    largest = np.abs(vectors).max(axis=1, initial=0)
    scales = (largest / _LARGEST_CODE).astype(np.float32)
    inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales > 0)
    return np.rint(vectors * inverse[:, np.newaxis]).clip(-127, 127).astype(np.int8), scales


@contextlib.contextmanager
def open_part(path: Path, identity: StoreIdentity) -> Iterator[Batch]:
    """The rows of a file, mapped for the time of the block.

    Raises:
        StorageError: it is damaged, or no file of blocks of this identity.
    """
    try:
        with ArrowFile.open(path) as file:
            _check_identity(file, identity)
            if file.num_batches != 1:
                raise StorageError(f"has {file.num_batches} batches, not 1")
            yield file.batch(0)
    except (OptimizationError, OSError) as error:
        if isinstance(error, _PartError):
            raise
        raise _PartError(
            f"{path} cannot be used: {error}; remove the store and read the text again"
        ) from error


class _PartError(StorageError):
    """Names its file already."""


def index_of(batch: Batch, first: int, identity: StoreIdentity) -> BlockIndex:
    """What the blocks of a part are ranked by.

    Raises:
        StorageError: columns hold what no writer of this package writes.
    """
    grades, scales = batch.numbers("grade"), batch.numbers("scale")
    if batch.num_rows < 1 or int(grades.max()) >= len(GRADES):
        raise StorageError(f"{batch.num_rows} rows, or a grade that does not exist")
    if not (np.isfinite(scales).all() and (scales >= 0).all()):
        raise StorageError("a scale that is no number of 0 or more")
    codes = batch.numbers("summary").reshape(-1, identity.dimension)
    return BlockIndex(first, batch.numbers("tokens"), batch.numbers("terms"), codes, scales)


def read_block(batch: Batch, row: int, identity: StoreIdentity) -> Block:
    """One block, copied.

    Raises:
        StorageError: it is not what was written.
    """
    grade = int(batch.numbers("grade")[row])
    payload = batch.binary("payload")[row]
    if grade >= len(GRADES) or len(payload) != identity.payload_bytes(grade):
        raise StorageError(f"row {row} has {len(payload)} bytes of keys and values in grade {grade}")
    codes = batch.numbers("summary").reshape(-1, identity.dimension)[row]
    block = Block(
        position=int(batch.numbers("position")[row]),
        tokens=batch.numbers("tokens")[row].copy(),
        grade=GRADES[grade],
        terms=batch.numbers("terms")[row].copy(),
        summary=codes * batch.numbers("scale")[row],
        payload=np.array(payload, np.uint8),
    )
    if _checksum(block) != int(batch.numbers("checksum")[row]):
        raise StorageError(f"row {row} does not match its checksum")
    return block


def _checksum(block: Block) -> int:
    head = f"{block.position} {block.grade} ".encode()
    return crc32c(
        block.payload.tobytes(), crc32c(block.terms.tobytes() + block.tokens.tobytes(), crc32c(head))
    )


def _check_identity(file: ArrowFile, identity: StoreIdentity) -> None:
    metadata: dict[str, Any] = file.metadata
    for key, value in identity.metadata().items():
        if metadata.get(key) != value:
            raise StorageError(f"{key} is {metadata.get(key)!r:.80} there, and {value!r:.80} here")
    present = [(field.name, field.type) for field in file.fields]
    if present != [(field.name, field.type) for field in fields(identity)]:
        raise StorageError(f"its columns are {present!r:.200}")
