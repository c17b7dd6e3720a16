"""The index of weights.arrow: what each tensor is, checked against each other and against a checksum."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from arrowmind._native import WeightTable
from arrowmind.errors import IntegrityError, WeightError
from arrowmind.weights.roles import join_name
from arrowmind.weights.schema import check_index, fingerprint, index_checksum, table_checksum
from arrowmind.weights.tensor_spec import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arrowmind.columnar import Batch
    from arrowmind.weights.tensor import Checksums

__all__ = ["WeightIndex"]


class WeightIndex:
    """Descriptions of all tensors, by row.

    The native core checks them at once, and each is made when it is first asked for: a model of experts has
    thousands. What the core does not find sound is read row by row here, which says what is wrong with it.

    Attributes:
        rows: row of each tensor, by its name, in file order.
        table: the rows for native readers; None where they were read here.
    """

    def __init__(self, batch: Batch, metadata: Mapping[str, str], path: str) -> None:
        """Checks the index of a file.

        Raises:
            WeightError: a value is missing that each row has.
            IntegrityError: a description does not fit its row, or the index its checksum.
        """
        self._path = path
        table = WeightTable(batch.native)
        self.table = table if table.is_sound else None
        found = [] if table.is_sound else _read_specs(batch, path)
        self._checksums = batch.numbers("checksums")
        self._specs: list[TensorSpec | None] = list(found) or [None] * batch.num_rows
        checksum = (
            table_checksum(metadata, table)
            if self.table
            else index_checksum(metadata, found, self._all_checksums())
        )
        check_index(metadata, checksum, path)
        names = [spec.name for spec in found] or batch.strings("name")
        self.rows: dict[str, int] = {str(name): row for row, name in enumerate(names)}
        if len(self.rows) != len(names):
            twice = Counter(names).most_common(1)[0][0]
            raise IntegrityError(f"{path}: has tensor {twice!r} more than once; convert the model again")

    def __len__(self) -> int:
        return len(self._specs)

    def spec(self, row: int) -> TensorSpec:
        """What the tensor of a row is."""
        known = self._specs[row]
        if known is None:
            if self.table is None:
                raise IntegrityError(f"{self._path}: row {row} was not read; open the file again")
            known = self._specs[row] = TensorSpec(*self.table.describe(row))
        return known

    def specs(self) -> Sequence[TensorSpec]:
        """All of them."""
        return [self.spec(row) for row in range(len(self))]

    def checksums(self, row: int) -> Checksums:
        """Of the buffers of a row."""
        codes, scales, zero_points, sums, outer_scales = self._checksums[row].tolist()
        return codes, scales, zero_points, sums, outer_scales

    @property
    def fingerprint(self) -> str:
        """Hex digest over all tensors."""
        return fingerprint(self.specs(), self._all_checksums())

    def _all_checksums(self) -> list[Checksums]:
        return [(a, b, c, d, e) for a, b, c, d, e in self._checksums.tolist()]


def _read_specs(batch: Batch, path: str) -> list[TensorSpec]:
    columns = [batch.strings(name) for name in ("name", "layer_name", "weight_name", "quant_type")]
    layouts, activations = batch.strings("layout"), batch.strings("activation")
    groups = batch.numbers("group_size").tolist()
    scale_types, zero_types = batch.strings("scale_type"), batch.strings("zero_type")
    shapes, axes = batch.lists("shape"), batch.numbers("quant_axis").tolist()
    sizes = batch.numbers("codes_bytes").tolist()
    specs = []
    for row, (name, layer, weight, kind) in enumerate(zip(*columns, strict=True)):
        texts = (name, layer, weight, kind, layouts[row], activations[row], scale_types[row], zero_types[row])
        shape = shapes[row]
        if None in texts or shape is None or not name:
            raise IntegrityError(f"{path}: row {row} lacks a name or a value; convert the model again")
        spec = TensorSpec(
            name,
            str(kind),
            tuple(shape),
            str(layouts[row]),
            axes[row],
            str(activations[row]),
            groups[row],
            str(scale_types[row]),
            str(zero_types[row]),
        )
        _check_spec(spec, join_name(str(layer), str(weight)), sizes[row], path)
        specs.append(spec)
    return specs


def _check_spec(spec: TensorSpec, joined: str, codes_bytes: int, path: str) -> None:
    try:
        spec.check()
    except WeightError as error:
        raise IntegrityError(f"{path}: {error}") from error
    if joined != spec.name:
        raise IntegrityError(f"{path}: tensor {spec.name!r}: its layer and weight names say {joined!r}")
    if codes_bytes != spec.codes_bytes:
        raise IntegrityError(
            f"{path}: tensor {spec.name!r}: {codes_bytes} bytes of codes are declared; {spec.quant_type} "
            f"{spec.layout} {list(spec.shape)} has {spec.codes_bytes}; convert the model again"
        )
