"""A joint embedding as an Arrow file: named arrays, and numbers in the metadata of the schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.columnar import ArrowWriter, Field
from arrowmind.columnar.files import PLAIN
from arrowmind.errors import MemoryStoreError, OptimizationError
from arrowmind.joint.alignment import Alignment
from arrowmind.joint.embedding import JOINT_DIMENSION, Fusion, JointEmbedding
from arrowmind.joint.ridge import LinearMap

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from arrowmind.columnar import ArrowFile
    from arrowmind.columnar.files import Files

    FloatArray = npt.NDArray[np.float32]

__all__ = ["load", "save"]

_FORMAT, _VERSION = "arrowmind.joint", "1"
_FIELDS = [
    Field("name", "utf8"),
    Field("rows", "int32"),
    Field("columns", "int32"),
    Field("values", "binary"),
]
_MOST_COLUMNS = 1 << 16


def save(joint: JointEmbedding, path: Path, files: Files = PLAIN) -> None:
    """Publishes a joint embedding."""
    arrays: dict[str, FloatArray] = {}
    maps = []
    for (source, target), fitted in sorted(joint.alignment.maps.items()):
        name = f"map.{source}.{target}"
        maps.append([source, target, fitted.reliability, fitted.pairs])
        arrays[f"{name}.source_mean"], arrays[f"{name}.target_mean"] = fitted.source_mean, fitted.target_mean
        arrays[f"{name}.matrix"] = fitted.matrix
    if joint.fusion is not None:
        arrays |= {f"projection.{kind}": values for kind, values in joint.fusion.projections.items()}
        arrays |= {"query": joint.fusion.query, "first": joint.fusion.first, "second": joint.fusion.second}
    about = {
        "anchor": joint.anchor,
        "dimensions": dict(joint.alignment.dimensions),
        "maps": maps,
        "bias": None if joint.fusion is None else dict(joint.fusion.bias),
        "fingerprint": joint.fingerprint,
    }
    metadata = {
        "arrowmind.format": _FORMAT,
        "arrowmind.version": _VERSION,
        "arrowmind.about": json.dumps(about),
    }
    flat = {name: np.atleast_2d(values) for name, values in arrays.items()}
    with files.publish(path) as file, ArrowWriter(file, _FIELDS, metadata) as writer:
        writer.write_batch(
            {
                "name": list(flat),
                "rows": [values.shape[0] for values in flat.values()],
                "columns": [values.shape[1] for values in flat.values()],
                "values": [np.ascontiguousarray(values, np.float32).tobytes() for values in flat.values()],
            }
        )


def load(path: Path, files: Files = PLAIN) -> JointEmbedding:
    """Reads a joint embedding.

    Raises:
        MemoryStoreError: the file is missing, damaged, or of another version.
    """
    try:
        file = files.open_arrow(path)
        if (file.metadata.get("arrowmind.format"), file.metadata.get("arrowmind.version")) != (
            _FORMAT,
            _VERSION,
        ):
            raise MemoryStoreError("is no joint embedding of version 1")
        about = json.loads(file.metadata["arrowmind.about"])
        joint = _joint(about, _arrays(file))
        # The fingerprint covers every value.
        if joint.fingerprint != about["fingerprint"]:
            raise MemoryStoreError("does not have the fingerprint it names")
    except (OptimizationError, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise MemoryStoreError(
            f"{path}: cannot be used as a joint embedding: {error}; align again"
        ) from error
    return joint


def _arrays(file: ArrowFile) -> dict[str, FloatArray]:
    found = {}
    for number in range(file.num_batches):
        batch = file.batch(number)
        names, values = batch.binary("name"), batch.binary("values")
        shapes = zip(batch.numbers("rows").tolist(), batch.numbers("columns").tolist(), strict=True)
        for place, (rows, columns) in enumerate(shapes):
            data = bytes(values[place])
            if (
                not (0 <= rows <= _MOST_COLUMNS and 0 < columns <= _MOST_COLUMNS)
                or len(data) != 4 * rows * columns
            ):
                raise ValueError(f"array {place} has {len(data)} bytes for a shape of {rows} x {columns}")
            array = np.frombuffer(data, np.float32).reshape(rows, columns)
            if not np.isfinite(array).all():
                raise ValueError(f"array {place} has values that are not finite")
            found[bytes(names[place]).decode()] = array
    return found


def _joint(about: dict[str, Any], arrays: dict[str, FloatArray]) -> JointEmbedding:
    dimensions = {str(kind): int(dimension) for kind, dimension in about["dimensions"].items()}
    maps = {}
    for source, target, reliability, pairs in about["maps"]:
        name, shape = f"map.{source}.{target}", (dimensions[source], dimensions[target])
        matrix = _shaped(arrays[f"{name}.matrix"], shape)
        source_mean = _shaped(arrays[f"{name}.source_mean"], (1, shape[0]))[0]
        target_mean = _shaped(arrays[f"{name}.target_mean"], (1, shape[1]))[0]
        maps[source, target] = LinearMap(source_mean, target_mean, matrix, float(reliability), int(pairs))
    fusion = None
    if about["bias"] is not None:
        square, second = (JOINT_DIMENSION, JOINT_DIMENSION), arrays["second"]
        fusion = Fusion(
            {kind: _shaped(arrays[f"projection.{kind}"], square) for kind in about["bias"]},
            _shaped(arrays["query"], (1, JOINT_DIMENSION))[0],
            {str(kind): float(value) for kind, value in about["bias"].items()},
            _shaped(arrays["first"], (JOINT_DIMENSION, len(second))),
            _shaped(second, (len(second), JOINT_DIMENSION)),
        )
    return JointEmbedding(Alignment(dimensions, maps), fusion, str(about["anchor"]))


def _shaped(array: FloatArray, shape: tuple[int, int]) -> FloatArray:
    if array.shape != shape:
        raise ValueError(f"an array of shape {array.shape} stands where {shape} is due")
    return array
