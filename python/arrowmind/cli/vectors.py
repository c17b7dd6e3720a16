"""Writes embeddings to a file, in the format that its name asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.columnar import ArrowWriter, Field, publish
from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import IO

    from numpy.typing import NDArray

__all__ = ["check_output", "write_vectors"]


def write_vectors(path: Path, texts: Sequence[str], vectors: NDArray[np.float32], model: str) -> None:
    """Publishes `vectors`, float32 [n, d], as `.npy`, or with their texts as `.arrow`.

    Raises:
        InvalidArgumentError: another ending.
        StorageError: the file cannot be written.
    """
    write = check_output(path)
    with publish(path) as file:
        write(file, texts, vectors, model)


def check_output(path: Path) -> Callable[[IO[bytes], Sequence[str], NDArray[np.float32], str], None]:
    """What writes a file of this name; asked before the work is done.

    Raises:
        InvalidArgumentError: the name ends in nothing that is known.
    """
    writers = {".npy": _write_npy, ".arrow": _write_arrow}
    if path.suffix not in writers:
        raise InvalidArgumentError(f"output '{path}' must end in {' or '.join(writers)}")
    return writers[path.suffix]


def _write_npy(file: IO[bytes], _texts: Sequence[str], vectors: NDArray[np.float32], _model: str) -> None:
    np.lib.format.write_array(file, vectors, allow_pickle=False)


def _write_arrow(file: IO[bytes], texts: Sequence[str], vectors: NDArray[np.float32], model: str) -> None:
    fields = [Field("text", "utf8"), Field("embedding", f"fixed_size_list<float32, {vectors.shape[1]}>")]
    writer = ArrowWriter(file, fields, {"arrowmind.model": model})
    writer.write_batch({"text": list(texts), "embedding": vectors})
    writer.close()
