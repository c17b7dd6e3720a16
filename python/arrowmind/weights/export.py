"""Any weights -> one safetensors file, tensor by tensor."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.columnar import publish
from arrowmind.weights.convolutions import as_convolution, convolution_shape
from arrowmind.weights.roles import INPUT_SCALE, split_name

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from arrowmind.weights.source import WeightSource

__all__ = ["write_safetensors"]

_DTYPES = {"fp32": ("F32", 4), "fp16": ("F16", 2), "bf16": ("BF16", 2)}
_CODES = ("F32", 4)  # what codes are written as
_NUMPY = {"F32": np.float32, "F16": np.float16}


def write_safetensors(
    source: WeightSource, path: str | os.PathLike[str], *, progress: Callable[[int], None] | None = None
) -> None:
    """Writes all tensors as floats: fp32, fp16 and bf16 as they are, codes as the real values they stand for.

    Input scales are multiplied into their matrices, so that other tools compute what the engine does.

    Args:
        source: where the tensors are.
        path: the file; it appears whole or not at all.
        progress: called with the bytes of each tensor written.
    """
    with publish(path) as file:
        names = [name for name in source.names() if split_name(name)[1] != INPUT_SCALE]
        header = _header(source, names)
        file.write(len(header).to_bytes(8, "little") + header)
        for name in names:
            tensor = source.tensor(name)
            values = tensor.values()
            if tensor.scales is not None or source.input_scale(name) is not None:
                values = source.real_values(name).astype(_NUMPY[_written_as(source, name)[0]])
            values = np.ascontiguousarray(as_convolution(name, values))
            file.write(values.reshape(-1).view(np.uint8).data)
            if progress is not None:
                progress(tensor.spec.codes_bytes)


def _written_as(source: WeightSource, name: str) -> tuple[str, int]:
    """Type and bytes of an element; what is multiplied by input scales fits bfloat16 no more."""
    found = _DTYPES.get(source.spec(name).quant_type, _CODES)
    return _CODES if found[0] == "BF16" and source.input_scale(name) is not None else found


def _header(source: WeightSource, names: list[str]) -> bytes:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        spec = source.spec(name)
        dtype, item = _written_as(source, name)
        start, end = end, end + int(np.prod(spec.shape, dtype=np.int64)) * item
        shape = convolution_shape(name, spec.shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    return text.ljust(-(-len(text) // 8) * 8)
