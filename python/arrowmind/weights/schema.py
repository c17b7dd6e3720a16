"""Columns and metadata of weights.arrow (docs/formats/weights-arrow.md)."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from arrowmind.columnar import Field, crc32c
from arrowmind.errors import IntegrityError, WeightError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from arrowmind._native import WeightTable
    from arrowmind.weights.tensor import Checksums
    from arrowmind.weights.tensor_spec import TensorSpec

__all__ = [
    "CODES_ALIGNMENT",
    "DOCUMENTS",
    "FIELDS",
    "FILE_NAME",
    "FORMAT",
    "VERSION",
    "check_format",
    "check_index",
    "decode_documents",
    "encode_metadata",
    "fingerprint",
    "index_checksum",
    "table_checksum",
]

FILE_NAME = "weights.arrow"
FORMAT = "arrowmind.weights"
VERSION = 2
CODES_ALIGNMENT = 4096
DOCUMENTS = ("model", "quantization", "precision")
"""JSON objects kept in the schema metadata under ``arrowmind.<name>``."""

_SMALL_ALIGNMENT = 64
_PREFIX = "arrowmind."
_FORMAT_KEY = "arrowmind.format"
_VERSION_KEY = "arrowmind.version"
_INDEX_KEY = "arrowmind.index_crc32c"

# Small columns first: opening touches the head of the file, its footer and nothing else.
FIELDS = (
    Field("name", "utf8"),
    Field("layer_name", "utf8"),
    Field("weight_name", "utf8"),
    Field("quant_type", "utf8"),
    Field("shape", "list<int32>"),
    Field("layout", "utf8"),
    Field("quant_axis", "int32"),
    Field("activation", "utf8"),
    Field("group_size", "int32"),
    Field("scale_type", "utf8"),
    Field("zero_type", "utf8"),
    Field("codes_bytes", "int64"),
    Field("checksums", "fixed_size_list<uint32, 5>"),
    Field("scales", "large_binary", alignment=_SMALL_ALIGNMENT),
    Field("zero_points", "large_binary", alignment=_SMALL_ALIGNMENT),
    Field("sums", "large_binary", alignment=_SMALL_ALIGNMENT),
    Field("outer_scales", "large_binary", alignment=_SMALL_ALIGNMENT),
    Field("codes", "large_binary", alignment=CODES_ALIGNMENT),
)


def encode_metadata(
    documents: Mapping[str, Any], specs: Iterable[TensorSpec], checksums: Iterable[Checksums]
) -> dict[str, str]:
    """The schema metadata of a file with these documents and tensors.

    Args:
        documents: JSON objects by name, of :data:`DOCUMENTS`; empty ones are left out.
        specs: the tensors, in file order.
        checksums: of each tensor's buffers.
    """
    metadata = {_FORMAT_KEY: FORMAT, _VERSION_KEY: str(VERSION)}
    for name in DOCUMENTS:
        if documents.get(name):
            metadata[_PREFIX + name] = json.dumps(documents[name], ensure_ascii=False, sort_keys=True)
    metadata[_INDEX_KEY] = f"{index_checksum(metadata, specs, checksums):08x}"
    return metadata


def index_checksum(
    metadata: Mapping[str, str], specs: Iterable[TensorSpec], checksums: Iterable[Checksums]
) -> int:
    """CRC-32C over everything that is not a buffer: metadata, descriptions, checksums of the buffers."""
    kept = {key: value for key, value in metadata.items() if key != _INDEX_KEY}
    return crc32c(_canonical([kept, _rows(specs, checksums)]))


def table_checksum(metadata: Mapping[str, str], table: WeightTable) -> int:
    """The same, of rows that the native core holds."""
    kept = {key: value for key, value in metadata.items() if key != _INDEX_KEY}
    return crc32c(b"]", table.checksum(crc32c(b"[" + _canonical(kept) + b",")))


def fingerprint(specs: Iterable[TensorSpec], checksums: Iterable[Checksums]) -> str:
    """Hex digest over all tensors; equal digests mean equal weights, whatever file they come from."""
    import hashlib  # noqa: PLC0415  loads OpenSSL, which encoding does without

    return hashlib.sha256(_canonical(_rows(specs, checksums))).hexdigest()


def _rows(specs: Iterable[TensorSpec], checksums: Iterable[Checksums]) -> list[list[Any]]:
    return [
        [*(getattr(spec, item.name) for item in fields(spec)), list(sums)]
        for spec, sums in zip(specs, checksums, strict=True)
    ]


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def check_format(metadata: Mapping[str, str], fields: Iterable[Field], path: str) -> None:
    """Refuses a file that is not weights, or that a newer version wrote.

    Raises:
        WeightError: naming what differs.
    """
    if metadata.get(_FORMAT_KEY) != FORMAT:
        raise WeightError(
            f"{path}: is Arrow but holds no weights ({_FORMAT_KEY} is {metadata.get(_FORMAT_KEY)!r}); "
            "make them with `arrowmind convert`"
        )
    if metadata.get(_VERSION_KEY) != str(VERSION):
        raise WeightError(
            f"{path}: has format version {metadata.get(_VERSION_KEY)!r}, this ArrowMind reads {VERSION}; "
            "upgrade ArrowMind or convert the model again"
        )
    found = [(field.name, field.type) for field in fields]
    expected = [(field.name, field.type) for field in FIELDS]
    if found != expected:
        raise IntegrityError(
            f"{path}: its columns are {found}, version {VERSION} has {expected}; convert the model again"
        )


def check_index(metadata: Mapping[str, str], checksum: int, path: str) -> None:
    """Compares the checksum of the index with the one written.

    Raises:
        IntegrityError: metadata or a description has changed since the file was written.
    """
    found = f"{checksum:08x}"
    written = metadata.get(_INDEX_KEY)
    if found != written:
        raise IntegrityError(
            f"{path}: checksum of its index is {found}, {written} was written; the file is damaged: "
            "convert or copy it again"
        )


def decode_documents(metadata: Mapping[str, str], path: str) -> dict[str, dict[str, Any]]:
    """The JSON objects of the metadata; an empty object for each that is absent.

    Raises:
        IntegrityError: one of them is not a JSON object.
    """
    return {name: _decode(metadata.get(_PREFIX + name, "{}"), name, path) for name in DOCUMENTS}


def _decode(text: str, name: str, path: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path}: metadata {name!r} is not JSON ({error}); convert it again") from error
    if not isinstance(value, dict):
        raise IntegrityError(f"{path}: metadata {name!r} is not a JSON object; convert the model again")
    return value
