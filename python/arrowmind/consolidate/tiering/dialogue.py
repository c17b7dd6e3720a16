"""Long dialogues made short: the last turns as they are, a summary of the rest, the rest in a block.

Nothing is lost: `Reconstructor.turns` gives every turn back, bit for bit. What is handed to a language
model is short: `Reconstructor.context` has the summary, those turns whose codes are nearest to a question,
and the tail.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind import _native
from arrowmind.columnar.row_blocks import pack_block, unpack_block
from arrowmind.consolidate.records import SourceMemory
from arrowmind.consolidate.summarising import Task
from arrowmind.errors import InvalidArgumentError, MemoryStoreError
from arrowmind.memory.storage.vectors import quantise, query_bits, row_bytes, sign_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from arrowmind.consolidate.summarising import Summariser

    FloatArray = npt.NDArray[np.float32]
    ByteArray = npt.NDArray[np.uint8]

__all__ = ["CompressedDialogue", "Compressor", "Reconstructor"]

_HEAD = struct.Struct("<4sIII")
_MAGIC = b"AMDG"
_SECOND = 1_000_000


@dataclass(frozen=True)
class CompressedDialogue:
    """A dialogue, compressed.

    Attributes:
        summary: of all turns but the tail; empty if there are no others.
        tail: how many turns at the end are handed out as they are.
        block: all turns, compressed.
        codes: uint8 [turns, (dimension + 7) / 8], one-bit codes.
        dimension: of the vectors behind the codes.
    """

    summary: str
    tail: int
    block: bytes
    codes: ByteArray
    dimension: int

    def to_bytes(self) -> bytes:
        """As one piece, with checksums."""
        facts = {"summary": self.summary, "tail": self.tail, "dimension": self.dimension}
        parts = [json.dumps(facts).encode(), self.codes.tobytes()]
        head = pack_block(parts, "zlib")
        return _HEAD.pack(_MAGIC, len(head), len(self.block), len(self.codes)) + head + self.block

    @classmethod
    def from_bytes(cls, data: bytes) -> CompressedDialogue:
        """The inverse.

        Raises:
            MemoryStoreError: the bytes are damaged.
        """
        try:
            magic, head_size, block_size, turns = _HEAD.unpack_from(data)
            if magic != _MAGIC or len(data) != _HEAD.size + head_size + block_size:
                raise MemoryStoreError("a compressed dialogue is damaged; restore it from a backup")
            facts_text, codes = unpack_block(data[_HEAD.size : _HEAD.size + head_size], "dialogue")
            facts = json.loads(facts_text)
            dimension, tail = int(facts["dimension"]), int(facts["tail"])
            table = np.frombuffer(codes, dtype=np.uint8).reshape(turns, row_bytes(dimension))
            return cls(str(facts["summary"]), tail, data[_HEAD.size + head_size :], table, dimension)
        except (struct.error, ValueError, KeyError, TypeError) as error:
            raise MemoryStoreError(f"a compressed dialogue is damaged ({error})") from error


class Compressor:
    """Compresses dialogues.

    Args:
        summariser: of all but the tail; the extractive one keeps sentences as they were said.
        tail: turns at the end that stay as they are.
    """

    def __init__(self, summariser: Summariser, tail: int = 6) -> None:
        self._summariser = summariser
        self._tail = tail

    def compress(self, turns: Sequence[str], vectors: FloatArray) -> CompressedDialogue:
        """A dialogue, compressed.

        Args:
            turns: in order.
            vectors: float32 [turns, dimension] of length 1.

        Raises:
            InvalidArgumentError: there are no turns, or not one vector each.
        """
        if not turns or vectors.ndim != 2 or len(vectors) != len(turns):
            raise InvalidArgumentError(
                f"{len(turns)} turns with vectors of shape {vectors.shape}; give at least one turn, and a "
                "vector for each"
            )
        older = max(len(turns) - self._tail, 0)
        sources = tuple(
            SourceMemory(number, turns[number], vectors[number], (number + 1) * _SECOND)
            for number in range(older)
        )
        summary = self._summariser.summarise(Task(sources)).derived if sources else ()
        codes, _ = quantise(np.ascontiguousarray(vectors, dtype=np.float32))
        return CompressedDialogue(
            summary="\n".join(memory.text for memory in summary),
            tail=len(turns) - older,
            block=pack_block([turn.encode("utf-8", "surrogatepass") for turn in turns]),
            codes=sign_codes(codes),
            dimension=vectors.shape[1],
        )


class Reconstructor:
    """Brings compressed dialogues back."""

    def turns(self, dialogue: CompressedDialogue) -> list[str]:
        """All turns, exactly as they were.

        Raises:
            MemoryStoreError: the dialogue is damaged.
        """
        return [turn.decode("utf-8", "surrogatepass") for turn in unpack_block(dialogue.block, "dialogue")]

    def context(
        self, dialogue: CompressedDialogue, query: FloatArray | None = None, recalled: int = 4
    ) -> list[str]:
        """What to hand to a language model: the summary, turns that a question is about, the tail.

        Args:
            dialogue: compressed.
            query: float32 [dimension] of length 1, of the question; None recalls nothing.
            recalled: turns of the compressed part that the question brings back, in order.

        Raises:
            MemoryStoreError: the dialogue is damaged.
        """
        turns = self.turns(dialogue)
        older = len(turns) - dialogue.tail
        found: list[int] = []
        if query is not None and older and recalled:
            bits = query_bits(np.ascontiguousarray(query, dtype=np.float32))
            table = np.ascontiguousarray(dialogue.codes[:older])
            rows, _ = _native.scan_top_bits(table, bits, recalled)
            found = sorted(int(row) for row in rows)
        summary = [dialogue.summary] if dialogue.summary else []
        return [*summary, *(turns[row] for row in found), *turns[older:]]
