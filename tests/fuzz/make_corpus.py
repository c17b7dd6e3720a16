"""Writes seeds for the fuzz targets: ``python tests/fuzz/make_corpus.py build/fuzz/corpus``.

One folder per target, named after it. The forms of an input are described at the head of each target.
"""

from __future__ import annotations

import argparse
import io
import struct
from pathlib import Path
from typing import Any

from arrowmind.columnar import ArrowWriter, Field

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


def main() -> None:
    """Writes the corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder / "fuzz_arrow_file"
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in arrow_files().items():
        (folder / f"{name}.raw").write_bytes(b"\0" + file)
        (folder / f"{name}.framed").write_bytes(b"\1" + framed(file))


if __name__ == "__main__":
    main()
