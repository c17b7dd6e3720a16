"""Files that attack: for each reader and shape of attack the bytes of one."""

from __future__ import annotations

import io
import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
from tests.interchange.forge import ARRAY, STRING, array, entry, gguf, safetensors, string, tensor
from tests.weights.forge import forge

from arrowmind.weights.encryption.cipher import Keys
from arrowmind.weights.encryption.header import FILE, KEY
from arrowmind.weights.encryption.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HUGE = 2**63
DEEP = 200_000


def replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    if old not in data or len(old) != len(new):
        raise AssertionError(f"{old!r} is not in the file or not as long as {new!r}")
    return data.replace(old, new)


# --- weights.arrow


def arrow(path: Path, **options: Any) -> bytes:
    return forge(path / "forged.arrow", **options).read_bytes()


def arrow_offsets(path: Path, *offsets: int) -> bytes:
    """Offsets of the codes: [0, 256, 328], padded to 4096 each."""
    return replaced(arrow(path), struct.pack("<3q", 0, 4096, 8192), struct.pack("<3q", *offsets))


def arrow_bomb(codec: str) -> bytes:
    """Compressed buffers in the columns of a weight file."""
    from arrowmind.weights.schema import FIELDS

    kinds = {
        "utf8": pa.string(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "list<int32>": pa.list_(pa.field("item", pa.int32(), nullable=False)),
        "large_binary": pa.large_binary(),
        "fixed_size_list<uint32, 5>": pa.list_(pa.field("item", pa.uint32(), nullable=False), 5),
    }
    columns = []
    for field in FIELDS:
        kind = kinds[field.type]
        value: Any = {"utf8": "a", "list<int32>": [1], "large_binary": bytes(1 << 20)}.get(field.type, 1)
        columns.append(pa.array([[1] * 5 if field.type.startswith("fixed") else value], kind))
    metadata = {"arrowmind.format": "arrowmind.weights", "arrowmind.version": "2"}
    schema = pa.schema(
        [pa.field(f.name, c.type, nullable=False) for f, c in zip(FIELDS, columns, strict=True)], metadata
    )
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with pa.ipc.new_file(sink, schema, options=options) as writer:
        writer.write_batch(pa.record_batch(columns, schema=schema))
    return sink.getvalue()


def arrow_nested() -> bytes:
    kind: pa.DataType = pa.int32()
    for _ in range(60):
        kind = pa.list_(kind)
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, pa.schema([("a", kind)])):
        pass
    return sink.getvalue()


# --- Parquet

V1 = pa.schema(
    [
        ("layer_name", pa.string()),
        ("weight_name", pa.string()),
        ("weight_data", pa.list_(pa.float32())),
        ("shape", pa.list_(pa.int32())),
    ]
)
V2 = pa.schema(
    [
        *V1,
        ("quant_type", pa.string()),
        ("scales", pa.list_(pa.float32())),
        ("zero_points", pa.list_(pa.int8())),
        ("quant_axis", pa.int32()),
    ]
).set(2, pa.field("weight_data", pa.list_(pa.int8())))


def parquet(version: int, *, rows: int = 1, name: str = "weight", **options: Any) -> bytes:
    row: dict[str, Any] = {"weight_name": name, "weight_data": [1, 2, 3, 4, 5, 6], "shape": [2, 3]}
    if version == 2:
        row |= {"quant_type": "int8", "scales": [1.0, 1.0], "zero_points": [], "quant_axis": 0}
    row |= options.pop("row", {})
    listed = [{**row, "layer_name": f"layer{i}"} for i in range(rows)]
    table = pa.Table.from_pylist(listed, schema=V1 if version == 1 else V2)
    sink = io.BytesIO()
    pq.write_table(table, sink, **{"compression": "none", "use_dictionary": False, **options})
    return sink.getvalue()


def varint(value: int) -> bytes:
    value = (value << 1) ^ (value >> 63)
    result = bytearray()
    while value > 127:
        result.append(value & 127 | 128)
        value >>= 7
    return bytes([*result, value])


def footer_number(data: bytes, old: int, new: int) -> bytes:
    """A number of the footer replaced, wherever it stands as a field of 32 or 64 bits."""
    size = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - size : -8]
    for head in (b"\x15", b"\x16", b"\x26", b"\x25"):
        footer = footer.replace(head + varint(old), head + varint(new))
    if footer == data[-8 - size : -8]:
        raise AssertionError(f"{old} is not in the footer")
    return data[: -8 - size] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def column(data: bytes, name: str) -> Any:
    group = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0)
    columns = (group.column(i) for i in range(group.num_columns))
    return next(one for one in columns if one.path_in_schema.startswith(name))


def parquet_offset(version: int, new: Callable[[bytes], int]) -> bytes:
    data = parquet(version, rows=300)
    return footer_number(data, column(data, "weight_data").data_page_offset, new(data))


def parquet_page(version: int, name: str, field: int, value: int, **options: Any) -> bytes:
    """A number of a page header replaced: 2 bytes unpacked, 3 bytes stored; 5 the number of values."""
    table = pq.read_table(io.BytesIO(parquet(version, rows=300)))
    last = [*(other for other in table.column_names if other != name), name]
    sink = io.BytesIO()  # the column last, so that what follows it is the footer alone
    pq.write_table(table.select(last), sink, **{"compression": "none", "use_dictionary": False, **options})
    data = sink.getvalue()
    start = column(data, name).data_page_offset
    position = start + 2  # behind the type
    numbers = []
    for _ in range(2):
        end = position + 1
        while data[end] & 128:
            end += 1
        numbers.append((position + 1, end + 1))
        position = end + 1
    begin, end = numbers[field - 2] if field < 4 else values_of(data, position)
    stored = column(data, name).total_compressed_size
    data = data[:begin] + varint(value) + data[end:]
    return footer_number(data, stored, stored + len(varint(value)) - (end - begin))


def values_of(data: bytes, position: int) -> tuple[int, int]:
    """Where the number of values stands: the first field of the struct behind the two sizes."""
    position += 2
    end = position
    while data[end] & 128:
        end += 1
    return position, end + 1


def parquet_string(version: int) -> bytes:
    data = parquet(version)
    return replaced(data, struct.pack("<I", 6) + b"weight", struct.pack("<I", 2**32 - 1) + b"weight")


def parquet_bomb(version: int, codec: str, *, lie: bool) -> bytes:
    """A row that unpacks to 16 MB, beside a shape of six elements; perhaps with a footer that denies it."""
    data = parquet(version, compression=codec)
    table = pq.read_table(io.BytesIO(data))
    values = pa.array(np.zeros(4 << 20, np.int8 if version == 2 else np.float32))
    bomb = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
    sink = io.BytesIO()
    pq.write_table(table.set_column(2, "weight_data", bomb), sink, compression=codec, use_dictionary=False)
    data = sink.getvalue()
    if lie:
        total = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).total_byte_size
        data = footer_number(data, total, 100)
        data = footer_number(data, column(data, "weight_data").total_uncompressed_size, 100)
    return data


def parquet_long_names(version: int) -> bytes:
    """Two thousand names of 3 MiB each that are one entry of a dictionary: 3 MiB in the file."""
    table = pq.read_table(io.BytesIO(parquet(version, rows=2000)))
    indices = pa.array(np.zeros(2000, np.int32))
    names = pa.DictionaryArray.from_arrays(indices, pa.array(["w" * (3 << 20)]))
    sink = io.BytesIO()
    pq.write_table(
        table.set_column(1, "weight_name", names),
        sink,
        use_dictionary=["weight_name"],
        dictionary_pagesize_limit=1 << 30,
        store_schema=False,
        write_statistics=False,
        compression="none",
    )
    return sink.getvalue()


# --- the rest


def nested(opening: str, closing: str = "") -> bytes:
    return (opening * DEEP + closing * DEEP).encode()


def described(shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


def encrypted(position: int, value: int) -> bytes:
    header, chunks = Keys.fresh(Secret(KEY, bytes(32))).create(FILE)
    data = bytearray(header.encode() + chunks.seal(0, b"text", is_last=True))
    data[position] = value
    return bytes(data)


def yaml_laughs() -> bytes:
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"b{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    return "\n".join(lines).encode()


def manifest(entry_: Any) -> bytes:
    return json.dumps({"format": "arrowmind.model", "version": 1, "files": {"a": entry_}}).encode()


def arrow_attacks(path: Path) -> dict[str, bytes]:
    longest = 2**31 - 1
    return {
        "sizes that wrap": arrow(path, spec={"shape": (longest, longest)}),
        "offsets that overlap": arrow_offsets(path, 0, 4096, 2**62),
        "offsets that run backwards": arrow_offsets(path, 0, 8192, 4096),
        "text of 2^63 bytes": arrow_offsets(path, 0, 4096, -(2**63)),
        "2^32 tensors": replaced(arrow(path), struct.pack("<2q", 2, 0), struct.pack("<2q", 2**32, 0)),
        "bomb, zstd": arrow_bomb("zstd"),
        "bomb, lz4": arrow_bomb("lz4"),
        "recursion in types": arrow_nested(),
        "recursion in documents": arrow(path, metadata={"arrowmind.model": "[" * DEEP}),
    }


def parquet_attacks(version: int) -> dict[str, bytes]:
    codecs = ("snappy", "gzip", "zstd", "lz4", "brotli")
    longest = 2**31 - 1
    return {
        "sizes that wrap": parquet(version, row={"shape": [longest] * 5}),
        "offsets that overlap": parquet_offset(
            version, lambda data: column(data, "weight_name").data_page_offset
        ),
        "offsets that run backwards": parquet_offset(version, lambda _: -5000),
        "offsets beyond the end": parquet_offset(version, lambda _: 2**62),
        "text of 2^32 bytes": parquet_string(version),
        "2^32 tensors": footer_number(parquet(version, rows=300), 300, 2**32),
        "a page that claims 2 GB": parquet_page(version, "weight_data", 2, longest),
        "a page that claims less than nothing": parquet_page(version, "weight_data", 2, -5),
        "a page that leaves its column": parquet_page(version, "weight_data", 3, longest),
        "a page with 2^31 values": parquet_page(version, "weight_data", 5, longest),
        "a page of names that claims 2 GB": parquet_page(
            version, "weight_name", 2, longest, compression="zstd"
        ),
        "a page of names with 2^31 values": parquet_page(version, "weight_name", 5, longest),
        "long names that share their bytes": parquet_long_names(version),
        **{f"bomb, {codec}": parquet_bomb(version, codec, lie=False) for codec in codecs[:1]},
        **{
            f"bomb that the footer denies, {codec}": parquet_bomb(version, codec, lie=True)
            for codec in codecs
        },
    }


def safetensors_attacks() -> dict[str, bytes]:
    many = b"{" + b",".join(b'"%d":{"dtype":"F32"}' % i for i in range(100_000)) + b"}"
    return {
        "sizes that wrap": safetensors({"a": described([2**32, 2**31, 2], 0, 0)}),
        "offsets that overlap": safetensors(
            {"a": described([2], 0, 8), "b": described([2], 4, 12)}, bytes(12)
        ),
        "offsets that run backwards": safetensors({"a": described([2], 8, 0)}, bytes(8)),
        "a header of 2^63 bytes": safetensors({}, declared=HUGE),
        "many tensors, none whole": safetensors(many),
        "recursion": safetensors(nested('{"a":')),
        "recursion in a field": safetensors(b'{"a":{"x":' + nested("[")),
    }


def gguf_attacks() -> dict[str, bytes]:
    return {
        "sizes that wrap": gguf([], [tensor("a", [2**32, 2**31, 2], 0, 0)], bytes(64)),
        "offsets that overlap": gguf([], [tensor("a", [16], 0, 0), tensor("b", [16], 0, 32)], bytes(128)),
        "offsets that run backwards": gguf(
            [], [tensor("a", [8], 0, HUGE), tensor("b", [8], 0, 0)], bytes(128)
        ),
        "text of 2^63 bytes": gguf([string("a", declared=HUGE)], n_kv=1),
        "an array of 2^63 items": gguf([entry("a", ARRAY, array(STRING, [], count=HUGE))]),
        "2^32 tensors": gguf([], [], n_tensors=2**32),
        "2^63 entries": gguf([], [], n_kv=HUGE),
        "recursion": gguf([entry("a", ARRAY, struct.pack("<IQ", ARRAY, 1) * DEEP)]),
    }


def document_attacks() -> dict[str, dict[str, bytes]]:
    vocabulary = {
        "type": "WordPiece",
        "unk_token": "x",
        "continuing_subword_prefix": "",
        "vocab": {"a": 2**63},
    }
    return {
        "tokenizer": {
            "recursion": nested("["),
            "recursion of objects": nested('{"a":'),
            "recursion of processors": b'{"version":"1.0","normalizer":'
            + b'{"type":"Sequence","normalizers":[' * DEEP,
            "numbers that do not fit": json.dumps({"version": "1.0", "model": vocabulary}).encode(),
            "not UTF-8": b'{"version": "\xff"}',
        },
        "config": {
            "recursion": nested("["),
            "recursion of objects": nested('{"a":'),
            "more than a configuration has": b"[" + b"1," * (33 << 20) + b"1]",
            "a number of a million digits": b'{"hidden_size": ' + b"9" * 1_000_000 + b"}",
            "no object": b"[]",
        },
        "settings": {
            "recursion": nested("["),
            "recursion by indent": "\n".join(" " * i + "a:" for i in range(300)).encode(),
            "aliases that multiply": yaml_laughs(),
            "more than settings have": b"a: 1\n" * 20_000,
            "an object of Python": b"device: !!python/object/apply:os.system [exit]",
            "a number of many digits": b"device: {threads: " + b"9" * 50_000 + b"}",
        },
        "manifest": {
            "recursion": nested("["),
            "a file outside": manifest(None).replace(b'"a"', b'"../../a"'),
            "an entry that is none": manifest([1]),
        },
        "encrypted": {
            "chunks of 2^255 bytes": encrypted(11, 255),
            "scrypt with N of 2^255": encrypted(12, 255),
            "another role": encrypted(9, 7),
            "cut short": encrypted(0, 65)[:100],
            "changed": encrypted(115, 1),
        },
    }


def all_attacks(path: Path) -> dict[str, dict[str, bytes]]:
    """The bytes of each attack, by reader and shape."""
    first, second = parquet_attacks(1), parquet_attacks(2)
    return {
        "arrow": arrow_attacks(path),
        "parquet": {
            **{f"V1: {name}": data for name, data in first.items()},
            **{f"V2: {name}": data for name, data in second.items()},
        },
        "safetensors": safetensors_attacks(),
        "gguf": gguf_attacks(),
        **document_attacks(),
    }
