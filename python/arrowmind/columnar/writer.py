"""A streaming writer of Arrow IPC files that needs no pyarrow."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np

from arrowmind import _native
from arrowmind.columnar.encoding import Deferred, EncodedBuffer, Part, as_bytes_view, encode_column
from arrowmind.columnar.large_pages import LargePages
from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

    from arrowmind.columnar.encoding import Buffer
    from arrowmind.columnar.fields import Field

__all__ = ["ArrowWriter", "Deferred"]

_MAGIC = b"ARROW1"
_CONTINUATION = b"\xff\xff\xff\xff"
_ALIGNMENT = 64
_CHUNK_BYTES = 8 << 20
HASH_TREE_KEY = "arrowmind.tree"
"""Metadata of the footer: where the Merkle tree lies."""


class ArrowWriter:
    """Writes an Arrow IPC file, uncompressed, batch by batch.

    Every buffer starts at a file offset that is a multiple of 64, values of an aligned binary column at
    multiples of their field's alignment. Use as a context manager: the footer is written at the end of a
    block that ends well.

    Example::

        fields = [Field("name", "utf8"), Field("codes", "large_binary", alignment=4096)]
        with publish("weights.arrow") as file, ArrowWriter(file, fields, {"version": "1"}) as writer:
            writer.write_batch({"name": ["a"], "codes": [array]})
    """

    def __init__(
        self,
        file: IO[bytes],
        fields: Sequence[Field],
        metadata: Mapping[str, str] | None = None,
        *,
        hash_tree: bool = False,
    ) -> None:
        """Writes the head of the file.

        Args:
            file: a buffered binary file at its start.
            fields: the columns.
            metadata: key-value pairs of the schema.
            hash_tree: end the file with a Merkle tree of its bytes (docs/formats/merkle.md).

        Raises:
            InvalidArgumentError: two fields share a name, or a name or the metadata is not text.
        """
        from arrowmind.columnar import ipc_metadata  # noqa: PLC0415  (needs flatbuffers)

        names = [field.name for field in fields]
        if len(set(names)) != len(names):
            raise InvalidArgumentError(f"columns {names} are not unique; rename one")
        self._ipc = ipc_metadata
        self._file = LargePages(file)
        self._fields = list(fields)
        self._metadata = dict(metadata or {})
        self._blocks: list[ipc_metadata.Block] = []
        self._position = 0
        self._tree = _native.HashTreeBuilder() if hash_tree else None
        self._state: Literal["open", "closed", "broken"] = "open"
        _check_text(self._fields, self._metadata)
        self._write(_MAGIC.ljust(8, b"\0"))
        self._write_message(self._ipc.schema_message(self._fields, self._metadata), 8)

    def write_batch(self, columns: Mapping[str, Any]) -> None:
        """Writes one batch.

        Args:
            columns: values by column name, one sequence or array per field, all of the same length. Numbers:
                a numpy array or a sequence. Text: ``str``. Binary: bytes-like objects, numpy arrays or
                :class:`Deferred`. Lists: sequences of sequences. ``fixed_size_list<type, n>``: [rows, n].
                None is a missing value where the field is nullable.

        Raises:
            InvalidArgumentError: columns are missing, unknown, of unequal length, or hold values that do not
                fit; nothing is written then. Or a :class:`Deferred` does not keep its size; this, like any
                error while writing, leaves the writer unusable.
        """
        if self._state != "open":
            raise InvalidArgumentError(f"the writer is {self._state}; write a new file")
        expected = {field.name for field in self._fields}
        if columns.keys() != expected:
            raise InvalidArgumentError(f"columns {sorted(columns)} given, {sorted(expected)} needed")
        encoded = [encode_column(field, columns[field.name]) for field in self._fields]
        rows = {column.nodes[0][0] for column in encoded}
        if len(rows) > 1:
            lengths = [column.nodes[0][0] for column in encoded]
            raise InvalidArgumentError(f"columns {[*columns]} differ in length: {lengths}")
        buffers = [buffer for column in encoded for buffer in column.buffers]
        nodes = [node for column in encoded for node in column.nodes]
        self._state = "broken"  # unless the batch is written to its end
        self._write_batch(next(iter(rows), 0), nodes, buffers)
        self._file.flush()
        self._state = "open"

    def _write_batch(self, rows: int, nodes: list[tuple[int, int]], buffers: list[EncodedBuffer]) -> None:
        places = []
        end = 0
        for buffer in buffers:
            start = _round_up(end, buffer.alignment)
            places.append((start, buffer.size))
            end = start + buffer.size
        body_bytes = _round_up(end, _ALIGNMENT)
        message = self._ipc.record_batch_message(rows, nodes, places, body_bytes)
        offset = self._position
        # Offsets in the body are aligned in the file because the body starts at the largest alignment.
        self._write_message(message, max([_ALIGNMENT, *(buffer.alignment for buffer in buffers)]))
        body = self._position
        for (start, _), buffer in zip(places, buffers, strict=True):
            self._pad_to(body + start)
            for part in buffer.parts:
                self._write_part(part)
        self._pad_to(body + body_bytes)
        self._blocks.append(self._ipc.Block(offset, body - offset, body_bytes))

    def close(self) -> None:
        """Writes the footer. The file stays open. Closing twice does nothing.

        Raises:
            InvalidArgumentError: an earlier write failed, so that the file cannot be completed.
        """
        if self._state == "closed":
            return
        if self._state == "broken":
            raise InvalidArgumentError("a batch was not written to its end; write a new file")
        self._state = "closed"
        self._write(_CONTINUATION + bytes(4))
        tree, own_metadata = self._tree, {}
        if tree is not None:
            self._pad_to(_round_up(self._position, _ALIGNMENT))
            own_metadata = {HASH_TREE_KEY: str(self._position)}
        footer = self._ipc.footer(self._fields, self._metadata, self._blocks, own_metadata)
        end = footer + len(footer).to_bytes(4, "little") + _MAGIC
        self._tree = None
        if tree is not None:
            self._write(tree.section(end))
        self._write(end)
        self._file.flush()

    def __enter__(self) -> ArrowWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        self._state = "closed"

    def _write(self, data: Buffer) -> None:
        view = as_bytes_view(data)
        for start in range(0, view.size, _CHUNK_BYTES):
            part = view[start : start + _CHUNK_BYTES]
            self._file.write(part)
            if self._tree is not None:
                self._tree.update(part)
        self._position += view.size

    def _write_message(self, metadata: bytes, alignment: int) -> None:
        """Writes a message whose body starts at a multiple of ``alignment``."""
        body = _round_up(self._position + 8 + len(metadata), alignment)
        size = body - self._position - 8
        self._write(_CONTINUATION + size.to_bytes(4, "little") + metadata)
        self._pad_to(body)

    def _write_part(self, part: Part) -> None:
        start = self._position
        if isinstance(part.data, Deferred):
            self._write_deferred(part.data)
        else:
            self._write(part.data)
        self._pad_to(start + part.padded_size)

    def _write_deferred(self, value: Deferred) -> None:
        start = self._position
        for piece in _pieces(value):
            self._write(piece)
        size = self._position - start
        if size != value.size:
            raise InvalidArgumentError(
                f"a deferred value declared {value.size} bytes and produced {size}; write the file again"
            )

    def _pad_to(self, position: int) -> None:
        self._write(bytes(position - self._position))


def _check_text(fields: Sequence[Field], metadata: Mapping[str, str]) -> None:
    texts = [*metadata.items(), *(pair for field in fields for pair in field.metadata.items())]
    for text in [*(field.name for field in fields), *(text for pair in texts for text in pair)]:
        if not isinstance(text, str) or any("\ud800" <= character <= "\udfff" for character in text):
            raise InvalidArgumentError(f"{text!r} in the names or the metadata is not text; give a str")


def _pieces(value: Deferred) -> Iterable[Buffer]:
    produced = value.produce()
    return [produced] if isinstance(produced, bytes | bytearray | memoryview | np.ndarray) else produced


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
