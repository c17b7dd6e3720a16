"""A weight file larger than its memory: some of its matrices come and go, in groups."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError
from arrowmind.observe import no_progress
from arrowmind.weights.source import WeightSource
from arrowmind.weights.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from arrowmind._native import ThreadPool
    from arrowmind.observe import Progress
    from arrowmind.weights.file import WeightFile
    from arrowmind.weights.tensor_spec import TensorSpec

__all__ = ["Moving", "StreamedTensor", "StreamedWeights", "streamed_bytes"]


class Moving(NamedTuple):
    """Matrices that come and go together.

    Attributes:
        names: of the matrices.
        place: in a round of the model: parts that are needed at one time share it.
        asked: operators ask where it lies when they need it, so that it need not be where the file has it.
    """

    names: tuple[str, ...]
    place: int
    asked: bool = False


class StreamedTensor(Tensor):
    """A tensor whose codes can be read only while its group is in memory."""

    streamed: ClassVar[bool] = True
    __slots__ = ()


class StreamedWeights(WeightSource):
    """Groups of matrices of a native weight file, in memory within a budget; the others are mapped.

    The numbers of `groups` are those of the blocks of :attr:`residency`, for operators that need them. What a
    hash tree says is compared with mapped tensors alone: to have all compared, open the file with
    ``verify="full"``.
    """

    def __init__(
        self,
        file: WeightFile,
        groups: Sequence[Moving],
        budget: int,
        *,
        policy: str = "farthest",
        readers: int = 4,
    ) -> None:
        """Opens the file a second time, to read from.

        Args:
            file: the weights.
            groups: what comes and goes.
            budget: bytes that all of them may take.
            policy: which group gives way, `farthest` or `least-recent`.
            readers: threads that read.

        Raises:
            MemoryBudgetError: the largest group does not fit.
            WeightError: the file cannot be opened.
        """
        self._file, self.path, self.kind = file, file.path, file.kind
        self.residency = _native.Residency.open(os.fsencode(file.path), budget, readers, policy)
        self.groups = tuple(groups)
        self._group: dict[str, int] = {}
        self._tensors: dict[str, StreamedTensor] = {}
        for names, place, asked in self.groups:
            number = self.residency.add(file.moving_ranges(names), place, asked)
            for name in names:
                if name in self._group:
                    raise InvalidArgumentError(f"{name} stands in two groups; give it once")
                self._group[name] = number
        self.residency.seal()

    def names(self) -> list[str]:  # noqa: D102
        return self._file.names()

    def has(self, name: str) -> bool:  # noqa: D102
        return self._file.has(name)

    def spec(self, name: str) -> TensorSpec:  # noqa: D102
        return self._file.spec(name)

    def tensor(self, name: str) -> Tensor:  # noqa: D102
        if name not in self._group:
            return self._file.tensor(name)
        known = self._tensors.get(name)
        return known or self._tensors.setdefault(name, self._streamed(name))

    def native_rows(self, names: Sequence[str]) -> tuple[_native.WeightTable, list[int]] | None:  # noqa: D102
        return self._file.native_rows(names) if all(name in self._group for name in names) else None

    def _streamed(self, name: str) -> StreamedTensor:
        spec, residency = self._file.spec(name), self.residency
        _, scales, zero_points, sums, outer = self._file.tensor(name).buffers()
        codes, *grid = (residency.view(*part) for part in self._file.moving_ranges([name]))
        if spec.grid is not None:  # they are as large as codes are small
            scales, zero_points = grid[0], grid[1] if len(grid) > 1 else None
        return StreamedTensor(spec, codes, scales, zero_points, sums, outer, origin=str(self.path))

    def touch(self, pool: ThreadPool, progress: Progress = no_progress) -> None:  # noqa: D102
        self._file.touch_fixed(self._group, pool, progress)

    @property
    def documents(self) -> dict[str, dict[str, Any]]:  # noqa: D102
        return self._file.documents

    @property
    def fingerprint(self) -> str:  # noqa: D102
        return self._file.fingerprint

    @property
    def moving(self) -> Collection[str]:
        """Names of the matrices that come and go."""
        return self._group.keys()

    def forget_small_buffers(self) -> None:
        """Pages of scales, zero points and sums leave this process's memory until they are touched again."""
        self._file.forget_small_buffers()

    def close(self) -> None:  # noqa: D102
        self._tensors.clear()
        self._file.close()


def streamed_bytes(file: WeightFile, names: Sequence[str]) -> int:
    """Bytes of the file that come and go with these matrices."""
    return sum(size for _, size in file.moving_ranges(names))
