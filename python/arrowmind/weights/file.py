"""weights.arrow: mapped, checked, read tensor by tensor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.columnar import ArrowFile, crc32c
from arrowmind.errors import IntegrityError, InvalidArgumentError, WeightError
from arrowmind.observe import get_logger, no_progress
from arrowmind.weights.formats import SCALE_TYPES, number_type
from arrowmind.weights.formats.scales import check_scales
from arrowmind.weights.index import WeightIndex
from arrowmind.weights.roles import role_of
from arrowmind.weights.schema import check_format, decode_documents
from arrowmind.weights.source import WeightSource
from arrowmind.weights.tensor import BUFFERS, Tensor

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Container, Sequence

    import numpy.typing as npt

    from arrowmind._native import EarlyWeights, ThreadPool, WeightTable
    from arrowmind.columnar import BinaryColumn
    from arrowmind.observe import Progress
    from arrowmind.weights.tensor_spec import TensorSpec

__all__ = ["VERIFY_MODES", "WeightFile"]

_BUFFER_ALIGNMENT = 64  # what kernels need; the writer gives 4096
_MAX_CODE = 127
_TOUCHED_AT_ONCE = 64 << 20
VERIFY_MODES = ("off", "first_touch", "full")

_log = get_logger("arrowmind.weights")


class WeightFile(WeightSource):
    """A native weight file. Tensors are views of its read-only mapping; nothing is copied.

    Opening checks the index: names, types, shapes and sizes against each other and against a checksum. Asking
    for a tensor checks its scales; its codes are checked by :meth:`Tensor.verify`, so that opening a large
    model does not read it. A file with a hash tree (docs/formats/merkle.md) is compared with that: each chunk
    of 64 KiB once, when something of it is first asked for.

    Example::

        with WeightFile.open("models/minilm-int8/weights.arrow") as weights:
            table = weights.tensor("embeddings.word_embeddings.weight").to_float32()
    """

    kind = "native"

    def __init__(self, path: Path, file: ArrowFile, verify: str = "first_touch") -> None:
        self.path = path
        self._file = file
        self._tree = None if verify == "off" else file.hash_tree()
        check_format(file.metadata, file.fields, str(path))
        if file.num_batches != 1:
            raise IntegrityError(f"{path}: has {file.num_batches} record batches, not one; convert again")
        self._batch = file.batch(0)
        if self._tree is not None:
            self._batch.verify_index(self._tree)
        elif verify != "off":
            _log.info("no hash tree in the weights, checksums only", path=str(path))
        self._index = WeightIndex(self._batch, file.metadata, str(path))
        self._rows = self._index.rows
        self._documents = decode_documents(file.metadata, str(path))
        self._tensors: dict[str, Tensor] = {}
        self._columns: dict[str, BinaryColumn] = {}
        self._moving: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        if verify == "full":
            self.verify()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        verify: str = "first_touch",
        early: EarlyWeights | None = None,
    ) -> WeightFile:
        """Maps the file at ``path`` and checks its index.

        Args:
            path: the file.
            verify: when the file is compared with its hash tree: ``first_touch``: what is used, when it is
                first used; ``full``: all of it, here; ``off``: never, which leaves the checksums.
            early: reads this file already, and has it open.

        Raises:
            InvalidArgumentError: ``verify`` is something else.
            WeightError: the file is missing or is no weight file of a version this one reads.
            IntegrityError: the file is damaged.
        """
        if verify not in VERIFY_MODES:
            raise InvalidArgumentError(f"verify={verify!r} is none of {', '.join(VERIFY_MODES)}")
        file = ArrowFile.open(path, early)
        try:
            return cls(Path(path), file, verify)
        except BaseException:
            file.close()
            raise

    def __enter__(self) -> WeightFile:
        return self

    @property
    def documents(self) -> dict[str, dict[str, Any]]:  # noqa: D102
        return self._documents

    @property
    def fingerprint(self) -> str:  # noqa: D102
        return self._index.fingerprint

    @property
    def root(self) -> str:
        """Root of the hash tree in hex, what a signature signs; empty for a file without one."""
        tree = self._tree or self._file.hash_tree()
        return "" if tree is None else tree.root.hex()

    @property
    def size(self) -> int:
        """Size of the file in bytes."""
        return self._file.size

    def names(self) -> list[str]:  # noqa: D102
        return list(self._rows)

    def has(self, name: str) -> bool:  # noqa: D102
        return name in self._rows

    def spec(self, name: str) -> TensorSpec:  # noqa: D102
        return self._index.spec(self._row(name))

    def offset(self, name: str, buffer: str = "codes") -> int:
        """File offset of one of a tensor's buffers in bytes."""
        return self._column(buffer).offset(self._row(name))

    def forget_small_buffers(self) -> None:
        """Pages of scales, zero points and sums leave this process's memory until they are touched again."""
        for name in BUFFERS[1:]:
            column = self._column(name)
            self._file.forget_pages(column.offset(0), column.values().nbytes)

    def native_rows(self, names: Sequence[str]) -> tuple[WeightTable, list[int]] | None:
        """The rows of tensors for native readers, their buffers checked as :meth:`tensor` does.

        Returns:
            None where the native core cannot read them: ask for each.

        Raises:
            WeightError: there is no tensor of such a name.
            IntegrityError: a buffer is damaged.
        """
        table, rows = self._index.table, [self._row(name) for name in names]
        if table is None:
            return None
        doubtful = table.first_unsound(rows, self._tree)
        if doubtful >= 0:
            self._read(doubtful)  # says what is wrong
            return None
        return table, rows

    def moving_ranges(self, names: Sequence[str]) -> list[tuple[int, int]]:
        """Offset and size of what comes and goes with matrices: codes; on a grid, scales and zero points."""
        key = tuple(names)  # a forecast, a budget and a reader ask for those of thousands of experts
        known = self._moving.get(key)
        return known or self._moving.setdefault(key, self._find_moving(key))

    def _find_moving(self, names: tuple[str, ...]) -> list[tuple[int, int]]:
        table = self._index.table
        found = None if table is None else table.moving([self._row(name) for name in names], self._tree)
        if found is not None:
            return found
        return [part for name in names for part in self._ranges(name)]

    def _ranges(self, name: str) -> list[tuple[int, int]]:
        spec = self.spec(name)
        found = [(self.offset(name), spec.codes_bytes)]
        if spec.grid is not None:
            buffers = self.tensor(name).buffers()
            for buffer, array in (("scales", buffers[1]), ("zero_points", buffers[2])):
                if array is not None:
                    found.append((self.offset(name, buffer), array.nbytes))
        return found

    def tensor(self, name: str) -> Tensor:  # noqa: D102
        row = self._row(name)
        known = self._tensors.get(name)
        return known or self._tensors.setdefault(name, self._read(row))

    def touch(self, pool: ThreadPool, progress: Progress = no_progress) -> None:  # noqa: D102
        if self._tree is None:
            return
        specs = (spec for spec in self._index.specs() if role_of(spec.name, spec.shape) != "table")
        self._touch([self._column("codes")[self._rows[spec.name]] for spec in specs], pool, progress)

    def touch_fixed(self, moving: Container[str], pool: ThreadPool, progress: Progress = no_progress) -> None:
        """Like :meth:`touch`, without the codes of what comes and goes.

        Scales and sums of all tensors are hashed, and the codes of the others.

        Args:
            moving: names of tensors whose codes are read otherwise.
            pool: threads to use.
            progress: called with bytes.
        """
        if self._tree is None:
            return
        codes = self._column("codes")
        buffers = [self._column(name).values() for name in BUFFERS[1:]]
        buffers += [codes[row] for name, row in self._rows.items() if name not in moving]
        self._touch([buffer for buffer in buffers if buffer.size], pool, progress)

    def _touch(self, buffers: Sequence[npt.NDArray[Any]], pool: ThreadPool, progress: Progress) -> None:
        """Some at a time, so that progress is told, and whoever interrupts it need not wait for all."""
        if self._tree is None:
            return
        total, done, part = sum(buffer.nbytes for buffer in buffers), 0, []
        told = 0
        for buffer in buffers:
            part.append(buffer)
            done += buffer.nbytes
            if done - told >= _TOUCHED_AT_ONCE or done == total:
                self._tree.touch(part, pool)
                progress(done, total, "reading weights")
                part, told = [], done

    def verify(self, progress: Callable[[int], None] | None = None) -> None:
        """Reads every byte: hash tree, checksums of all buffers, and sums against the codes they sum.

        Args:
            progress: called with the number of bytes done since the last call.

        Raises:
            IntegrityError: naming the first tensor that is damaged, or the first bytes outside of any.
        """
        self._verify_tensors(progress)
        if self._tree is not None:  # what is in no tensor; the rest is known by now
            self._tree.verify_bytes(0, self.size)
        if progress is not None:
            progress(self.size - sum(spec.codes_bytes for spec in self._index.specs()))

    def _verify_tensors(self, progress: Callable[[int], None] | None) -> None:
        for name in self._rows:
            tensor = self.tensor(name)
            tensor.verify()
            if tensor.sums is not None:
                sums = tensor.values().sum(axis=1, dtype=np.int32)
                if not np.array_equal(sums, tensor.sums[: sums.size]):
                    raise self._damaged(tensor.spec, "its sums are not those of its codes")
            if progress is not None:
                progress(tensor.spec.codes_bytes)

    def close(self) -> None:  # noqa: D102
        self._tensors.clear()
        self._columns.clear()
        self._file.close()

    def _row(self, name: str) -> int:
        if name not in self._rows:
            raise self.missing(name)
        return self._rows[name]

    def _column(self, name: str) -> BinaryColumn:
        """A column of buffers, whose offsets are checked once: a model of experts has thousands of them."""
        known = self._columns.get(name)
        return known or self._columns.setdefault(name, self._batch.binary(name))

    def _read(self, row: int) -> Tensor:
        spec, checksums = self._index.spec(row), self._index.checksums(row)
        codes = self._column("codes")
        if codes.offset(row) % _BUFFER_ALIGNMENT:
            raise self._damaged(spec, f"its codes start at {codes.offset(row)}, not at a multiple of 64")
        stored = codes[row]
        if not 0 <= stored.size - spec.codes_bytes < 4096:
            raise self._damaged(spec, f"{stored.size} bytes of codes are stored, {spec.codes_bytes} needed")
        if spec.grid is not None:
            return self._read_grid(row, stored[: spec.codes_bytes])
        self._small(row, "outer_scales", np.dtype("<f4"), required=False)
        coded = number_type(spec.quant_type).coded
        scales = self._small(row, "scales", np.dtype("<f4"), required=coded)
        zero_points = self._small(row, "zero_points", np.dtype("<f4"), required=None if coded else False)
        sums = self._small(row, "sums", np.dtype("<i4"), required=coded and spec.layout != "row")
        self._check_range(spec, scales, zero_points)
        codes_view = stored[: spec.codes_bytes]
        buffers = (codes_view, scales, zero_points, sums)
        return Tensor(spec, *buffers, checksums=checksums, origin=str(self.path), tree=self._tree)

    def _read_grid(self, row: int, codes: npt.NDArray[np.uint8]) -> Tensor:
        spec = self._index.spec(row)
        kind = SCALE_TYPES[spec.scale_type]
        rows = spec.rows if spec.layout == "row" else spec.padded_rows
        count = spec.scale_count
        scales = self._small(row, "scales", kind.dtype, required=True, count=count)
        zeros = self._small(row, "zero_points", np.dtype("u1"), required=bool(spec.zero_type), count=count)
        outer = self._small(row, "outer_scales", np.dtype("<f4"), required=kind.outer, count=rows)
        self._small(row, "sums", np.dtype("<i4"), required=False)
        try:
            check_scales(spec.scale_type, scales)
            if outer is not None:
                check_scales("fp32", outer)
        except WeightError as error:
            raise self._damaged(spec, str(error)) from error
        buffers = (codes, scales.view(np.uint8), zeros, None, outer)
        origin, checksums = str(self.path), self._index.checksums(row)
        return Tensor(spec, *buffers, checksums=checksums, origin=origin, tree=self._tree)

    def _small(
        self, row: int, column: str, dtype: np.dtype[Any], *, required: bool | None, count: int | None = None
    ) -> Any:
        """A buffer of ``count`` entries, or one per row, its checksum compared; None if rightly absent."""
        spec = self._index.spec(row)
        stored = self._column(column)[row]
        if not stored.size and not required:
            return None
        expected = (spec.padded_rows if count is None else count) * dtype.itemsize
        if required is False or not 0 <= stored.size - expected < _BUFFER_ALIGNMENT:
            needed = 0 if required is False else expected
            raise self._damaged(spec, f"{stored.size} bytes of {column} are stored, {needed} needed")
        stored = stored[:expected]
        if self._tree is not None:
            self._tree.verify(stored, f"tensor {spec.name!r}: {column}")
        found, written = crc32c(stored), self._index.checksums(row)[BUFFERS.index(column)]
        if found != written:
            raise self._damaged(spec, f"checksum of its {column} is {found:08x}, {written:08x} was written")
        return stored.view(dtype)

    def _check_range(
        self,
        spec: TensorSpec,
        scales: npt.NDArray[np.float32] | None,
        zero_points: npt.NDArray[np.float32] | None,
    ) -> None:
        if scales is not None and not (np.isfinite(scales).all() and (scales >= 0).all()):
            raise self._damaged(spec, "a scale is not a finite positive number")
        if zero_points is not None:
            whole = np.isfinite(zero_points).all() and (zero_points == np.rint(zero_points)).all()
            if not whole or np.abs(zero_points).max() > _MAX_CODE:
                raise self._damaged(spec, f"a zero point is no whole number in [-{_MAX_CODE}, {_MAX_CODE}]")

    def _damaged(self, spec: TensorSpec, what: str) -> IntegrityError:
        return IntegrityError(
            f"{self.path}: tensor {spec.name!r}: {what}; the file is damaged: convert or copy it again"
        )
