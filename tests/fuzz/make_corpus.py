"""Writes seeds for the fuzz targets: ``python -m tests.fuzz.make_corpus build/fuzz/corpus``.

One folder per target, named after it. The forms of an input are described at the head of each target.
"""

from __future__ import annotations

import argparse
import io
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from tests.interchange import forge, test_gguf, test_json, test_safetensors
from tests.reference import gguf as blocks
from tests.reference.grid import grids_of, random_codes

from arrowmind import _native
from arrowmind.columnar import ArrowWriter, Field
from arrowmind.weights import WeightFile, write_parquet, write_weights
from arrowmind.weights.formats import CODE_TYPES
from arrowmind.weights.tensor import Tensor, float_tensor, grid_tensor, int8_tensor

VALUES: dict[str, list[Any]] = {
    "utf8": ["a", None, "text"],
    "large_utf8": ["", "b", None],
    "binary": [b"a", b"", None],
    "large_binary": [b"abc", b"", b"d"],
    "bool": [True, None, False],
    "int8": [1, -2, 3],
    "uint64": [1, None, 3],
    "float16": [0.5, 1.5, None],
    "float64": [0.5, 1.5, 2.5],
    "timestamp[us]": [1, 2, 3],
    "timestamp[us, tz=UTC]": [1, 2, None],
    "fixed_size_binary<3>": [b"abc", b"def", b"ghi"],
    "list<int32>": [[1, 2], [], None],
    "list<utf8>": [["a"], ["b", "c"], []],
    "list<list<int8>>": [[[1], []], [], [[2]]],
    "fixed_size_list<float32, 2>": [[1, 2], None, [3, 4]],
}


def arrow_file(fields: list[Field], columns: dict[str, list[Any]], batches: int) -> bytes:
    """The bytes of a file with the same batch ``batches`` times."""
    file = io.BytesIO()
    with ArrowWriter(file, fields, {"version": "1"}) as writer:
        for _ in range(batches):
            writer.write_batch(columns)
    return file.getvalue()


def arrow_files() -> dict[str, bytes]:
    """A small file per type, one with all types, and the borders: no rows, no columns, no batches."""
    files = {}
    for number, (name, values) in enumerate(VALUES.items()):
        files[f"type{number}"] = arrow_file([Field("c", name, nullable=True)], {"c": values}, 1)
    fields = [Field(name, name, nullable=True) for name in VALUES]
    files["all"] = arrow_file(fields, VALUES, 2)
    files["no_rows"] = arrow_file(fields, {name: [] for name in VALUES}, 1)
    files["no_columns"] = arrow_file([], {}, 1)
    files["no_batches"] = arrow_file(fields, {}, 0)
    aligned = Field("c", "large_binary", alignment=64)
    files["aligned"] = arrow_file([aligned], {"c": [b"abc", b"d"]}, 2)
    return files


def framed(file: bytes) -> bytes:
    """The second form of fuzz_arrow_file: footer size, footer, batches."""
    (size,) = struct.unpack("<i", file[-10:-6])
    return struct.pack("<H", size) + file[-10 - size : -10] + file[8 : -10 - size]


def arrow_seeds() -> dict[str, bytes]:
    """Both forms of each file."""
    raw = {f"{name}.raw": b"\0" + file for name, file in arrow_files().items()}
    return raw | {f"{name}.framed": b"\1" + framed(file) for name, file in arrow_files().items()}


def named(texts: list[bytes]) -> dict[str, bytes]:
    """Seeds by number, for texts without a name; long ones only repeat what short ones say."""
    return {f"{i:03}": text for i, text in enumerate(texts) if len(text) < 4096}


def json_seeds() -> dict[str, bytes]:
    """What the tests of the reader take and refuse, and the headers of safetensors files."""
    whole = b'{"a":[1,-0,2.5e-3,true,false,null,"\\u00e9\\ud83d\\ude00\\n"],"":{}} '
    texts = [text.encode() for text in test_json.EXAMPLES]
    return named([whole, *texts, *(data[8:] for data, _ in test_safetensors.LIES.values())])


def safetensors_seeds() -> dict[str, bytes]:
    """Sound headers and every lie of the tests, in both forms."""
    one = test_safetensors.one
    kinds = {"F64": 8, "F16": 2, "BF16": 2, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "C64": 8}
    sound = [
        ({}, 0),
        ({"__metadata__": {"format": "pt"}, "a": one()}, 4),
        ({"a": one(), "b": one("F16", [2, 2], 4, 12), "c": one("F4", [2], 12, 13)}, 13),
        ({"a": one("I64", [0, 3], 0, 0), "b": one("F32", [], 0, 4)}, 4),
        *(({"t": one(kind, [3], 0, 3 * size)}, 3 * size) for kind, size in kinds.items()),
    ]
    files = [(forge.safetensors(header, bytes(size)), size) for header, size in sound]
    raw = [b"\0" + data for data, _ in files] + [b"\0" + data for data, _ in test_safetensors.LIES.values()]
    return named([*raw, *(b"\1" + bytes([size]) + data[8 : len(data) - size] for data, size in files)])


def gguf_seeds() -> dict[str, bytes]:
    """A file with metadata of every type, one per element type, and every lie of the tests."""
    numbers = test_gguf.NUMBERS.items()
    entries = [forge.entry(f"k{kind}", kind, number) for kind, number in numbers]
    entries += [
        forge.entry(f"a{k}", forge.ARRAY, forge.array(k, [forge.value(k, n)] * 2)) for k, n in numbers
    ]
    texts = forge.array(forge.STRING, [forge.string("a"), forge.string("")])
    nested = forge.array(forge.ARRAY, [forge.array(0, [b"\1"]), texts])
    entries += [forge.entry("texts", forge.ARRAY, texts), forge.entry("nested", forge.ARRAY, nested)]
    files = [forge.gguf(entries), test_gguf.sound(), test_gguf.sound(version=2)]
    for kind, (elements, size) in blocks.SIZES.items():
        files.append(forge.write_gguf({"a": 1}, {"t": (kind, (2, elements), bytes(2 * size))}))
    aligned = [forge.entry("general.alignment", 4, 64)]
    files.append(forge.gguf(aligned, [forge.tensor("a", [1], 0, 0)], bytes(4), alignment=64))
    return named([*files, *(data for data, _ in test_gguf.LIES.values())])


def gguf_blocks_seeds() -> dict[str, bytes]:
    """Two blocks of each type, and floats that fill two."""
    chance = np.random.default_rng(1)
    seeds = {}
    for kind, (elements, size) in blocks.SIZES.items():
        number = bytes([_native.gguf_type(kind)[0]])
        values = chance.normal(size=2 * elements).astype(np.float32)
        seeds[f"{kind}.blocks"] = number + chance.bytes(2 * size)
        seeds[f"{kind}.floats"] = number + values.tobytes()
    return seeds


def parquet_tensors() -> dict[str, list[Tensor]]:
    """Small tensors of every kind, one by one and together."""
    chance = np.random.default_rng(1)
    floats = chance.normal(size=(3, 2)).astype(np.float32)
    codes = chance.integers(-127, 127, (3, 2)).astype(np.int8)
    scales = np.array([0.5, 0.25, 1], np.float32)
    kinds = {
        "fp32": float_tensor("a.bias", floats),
        "fp16": float_tensor("b.weight", floats.astype(np.float16)),
        "int8": int8_tensor("c.weight", codes, scales, np.array([1, -3, 0], np.float32)),
    }
    for name in CODE_TYPES:
        grid = grids_of(name)[-1]  # with outer scales, and zero points where there are any
        kinds[name] = grid_tensor(f"{name}.weight", random_codes(chance, grid, 2, 36))
    return {name: [tensor] for name, tensor in kinds.items()} | {"all": list(kinds.values())}


def parquet_seeds() -> dict[str, bytes]:
    """Files of both schemas, and what lies between their ends: page headers and pages."""
    seeds = {}
    with tempfile.TemporaryDirectory() as folder:
        native, parquet = Path(folder) / "weights.arrow", Path(folder) / "weights.parquet"
        for name, tensors in parquet_tensors().items():
            write_weights(native, tensors, {"model": {"model_type": "bert"}})
            with WeightFile.open(native) as weights:
                # V1 holds floats alone.
                for version in (1, 2) if name in ("fp32", "fp16") else (2,):
                    write_parquet(weights, parquet, version=version)
                    data = parquet.read_bytes()
                    seeds[f"{name}.v{version}"] = b"\0" + data
                    seeds[f"{name}.v{version}.pages"] = b"\1" + data[4:]
    return seeds


TARGETS = {
    "fuzz_arrow_file": arrow_seeds,
    "fuzz_gguf": gguf_seeds,
    "fuzz_gguf_blocks": gguf_blocks_seeds,
    "fuzz_json": json_seeds,
    "fuzz_parquet": parquet_seeds,
    "fuzz_safetensors": safetensors_seeds,
}


def main() -> None:
    """Writes the corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parent = parser.parse_args().folder
    for target, seeds in TARGETS.items():
        folder = parent / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, seed in seeds().items():
            (folder / name).write_bytes(seed)


if __name__ == "__main__":
    main()
