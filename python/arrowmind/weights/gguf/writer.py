"""Any weights -> one GGUF file, tensor by tensor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind import _native
from arrowmind.columnar import publish
from arrowmind.errors import WeightError
from arrowmind.observe import get_logger
from arrowmind.weights.configuration import KEY
from arrowmind.weights.documents import read_json_object
from arrowmind.weights.gguf.architectures import ARCHITECTURES, Architecture
from arrowmind.weights.gguf.encoding import Entries, TensorInfo, encode_head, padding
from arrowmind.weights.gguf.grids import block_type, reordered, to_blocks
from arrowmind.weights.gguf.tensor_names import gguf_names, head_rows
from arrowmind.weights.gguf.tokenizer_export import write_tokenizer
from arrowmind.weights.roles import INPUT_SCALE, role_of, split_name

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from arrowmind.weights.source import WeightSource

__all__ = ["MATRIX_TYPES", "write_gguf"]

MATRIX_TYPES = ("F16", "Q8_0", "Q4_0")
"""What matrices can be written as."""

_log = get_logger("arrowmind.weights")
_FILE_TYPES = {None: 1, "F16": 1, "Q8_0": 7, "Q4_0": 2}  # general.file_type
_BLOCK = 32
_POOLING = {"mean": 1, "cls": 2}
_FLOAT_TABLES = ("position_embd.weight", "token_types.weight")  # read row by row, never multiplied
_ROPE_FACTORS = "rope_freqs.weight"


@dataclass(frozen=True)
class _Planned:
    """A tensor of the file: its name there and in the model, its type and shape."""

    theirs: str
    ours: str
    kind: str
    shape: tuple[int, ...]

    def info(self) -> TensorInfo:
        number, elements, size = _native.gguf_type(self.kind)
        count = int(np.prod(self.shape, dtype=np.int64))
        return TensorInfo(self.theirs, number, self.shape, count // elements * size)


def write_gguf(
    source: WeightSource,
    path: str | os.PathLike[str],
    *,
    matrices: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Writes all tensors, the settings and the tokenizer of a model.

    Vectors are written as F32. Input scales are multiplied into their matrices. Rows of query and key are put
    in GGUF's order.

    Args:
        source: where the tensors are; ``source.model`` is config.json.
        path: the file; it appears whole or not at all. tokenizer.json lies beside it.
        matrices: of :data:`MATRIX_TYPES`; what is stored so already keeps its codes. Tables and the output
            matrix of ``Q4_0`` are Q8_0, matrices whose rows are no multiple of 32 are F16. None keeps floats
            and the grids of Q8_0, Q4_0 and MXFP4 as they are, and writes other codes as Q8_0.
        progress: called with the bytes of each tensor written.

    Raises:
        WeightError: GGUF has no form for this model, or a value is too large for its type.
        StorageError: there is no room, or the folder cannot be written.
    """
    place, config = Path(path), source.model
    family = _architecture(source)
    names = gguf_names(family, _kept(source, family), source.path)
    planned = [_plan(source, theirs, name, matrices) for theirs, name in names.items()]
    entries = Entries()
    _write_settings(entries, family, config, matrices)
    write_tokenizer(entries, read_json_object(place.parent / "tokenizer.json"), config)
    factors = config.get(KEY, {}).get("rope_factors")
    infos = [tensor.info() for tensor in planned]
    if factors:
        infos.append(TensorInfo(_ROPE_FACTORS, 0, (len(factors),), 4 * len(factors)))
    with publish(place) as file:
        file.write(encode_head(entries, infos))
        for tensor, info in zip(planned, infos, strict=False):
            blocks = _stored(source, family, tensor)
            if blocks is None:
                blocks = _blocks(source, family, tensor)
            file.write(blocks.data)
            file.write(bytes(padding(info.size)))
            if progress is not None:
                progress(source.spec(tensor.ours).codes_bytes)
        if factors:
            data = np.asarray(factors, dtype="<f4").tobytes()
            file.write(data + bytes(padding(len(data))))


def _architecture(source: WeightSource) -> Architecture:
    model_type = source.model.get("model_type")
    for family in ARCHITECTURES.values():
        if family.model_type == model_type:
            return family
    known = ", ".join(family.model_type for family in ARCHITECTURES.values())
    raise WeightError(f"{source.path}: model_type {model_type!r} cannot be written as GGUF; {known} can")


def _kept(source: WeightSource, family: Architecture) -> list[str]:
    omitted = [name for name in source.names() if split_name(name)[0] in family.omitted]
    if omitted:
        _log.warning("tensors that GGUF has no place for are left out", path=str(source.path), names=omitted)
    return [name for name in source.names() if name not in omitted and split_name(name)[1] != INPUT_SCALE]


def _plan(source: WeightSource, theirs: str, ours: str, matrices: str | None) -> _Planned:
    spec = source.spec(ours)
    kind = "F32"
    if len(spec.shape) == 2 and theirs not in _FLOAT_TABLES:
        kept = _kept_type(source, ours)
        kind = kept if matrices is None else matrices
        is_table = role_of(ours, spec.shape) == "table" or theirs == "output.weight"
        if kind == "Q4_0" and kept != "Q4_0" and is_table:
            kind = "Q8_0"
        if kind in ("Q8_0", "Q4_0") and spec.shape[1] % _BLOCK:
            kind = "F16"
    return _Planned(theirs, ours, kind, spec.shape)


def _kept_type(source: WeightSource, ours: str) -> str:
    """The type that holds a matrix as it is, or with the least loss."""
    spec = source.spec(ours)
    if spec.grid is None:
        return {"fp32": "F32", "fp16": "F16", "bf16": "F32"}.get(spec.quant_type, "Q8_0")
    is_scaled = source.input_scale(ours) is not None
    return (None if is_scaled else block_type(source.tensor(ours).grid_codes())) or "Q8_0"


def _stored(source: WeightSource, family: Architecture, tensor: _Planned) -> npt.NDArray[np.uint8] | None:
    """Blocks of a matrix whose codes are those of its type already; None for all others."""
    if source.spec(tensor.ours).grid is None or source.input_scale(tensor.ours) is not None:
        return None
    grid = source.tensor(tensor.ours).grid_codes()
    if block_type(grid) != tensor.kind:
        return None
    order = head_rows(family, tensor.theirs, _heads(source), tensor.shape[0])
    found = to_blocks(reordered(grid, np.argsort(order)))
    return None if found is None else found[1]


def _blocks(source: WeightSource, family: Architecture, tensor: _Planned) -> npt.NDArray[np.uint8]:
    values = source.real_values(tensor.ours)
    order = head_rows(family, tensor.theirs, _heads(source), values.shape[0] if values.ndim else 1)
    if order.size:
        values = values[np.argsort(order)]
    if family.norm_offset and tensor.theirs.endswith("norm.weight"):
        values = values + np.float32(family.norm_offset)
    try:
        return _native.gguf_encode(tensor.kind, np.ascontiguousarray(values, np.float32).reshape(-1))
    except WeightError as error:
        raise WeightError(f"tensor {tensor.ours!r}: {error}") from error


def _heads(source: WeightSource) -> dict[str, int]:
    heads = _integer(source.model, "num_attention_heads")
    return {"attn_q": heads, "attn_k": int(source.model.get("num_key_value_heads") or heads)}


def _integer(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 31:
        raise WeightError(f"config.json: {key} is {value!r}; a whole number is needed")
    return value


def _write_settings(
    entries: Entries, family: Architecture, config: Mapping[str, Any], matrices: str | None
) -> None:
    entries.add("general.architecture", family.name)
    entries.add("general.name", str(config.get("_name_or_path") or family.model_type))
    entries.add("general.file_type", _FILE_TYPES[matrices])
    entries.add("general.quantization_version", 2)
    for key, theirs in family.settings.items():
        value = config.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        is_real = key.endswith("eps") or key == "rope_theta"
        entries.add(f"{family.name}.{theirs}", float(value) if is_real else int(value))
    own = config.get(KEY, {})
    if family.name == "bert":
        entries.add("bert.attention.causal", value=False)
        entries.add("bert.pooling_type", _POOLING.get(own.get("pooling", "mean"), 1))
    else:
        _write_rotation(entries, family, config)
    if isinstance(own.get("chat_template"), str):
        entries.add("tokenizer.chat_template", own["chat_template"])


def _write_rotation(entries: Entries, family: Architecture, config: Mapping[str, Any]) -> None:
    heads = _integer(config, "num_attention_heads")
    size = int(config.get("head_dim") or _integer(config, "hidden_size") // heads)
    entries.add(f"{family.name}.rope.dimension_count", size)
    entries.add(f"{family.name}.attention.value_length", size)
    if not config.get("head_dim"):
        entries.add(f"{family.name}.attention.key_length", size)
    scaling = config.get("rope_scaling") or {}
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind in ("linear", "yarn"):
        prefix = f"{family.name}.rope.scaling"
        entries.add(f"{prefix}.type", kind)
        entries.add(f"{prefix}.factor", float(scaling.get("factor", 1.0)))
        if isinstance(scaling.get("original_max_position_embeddings"), int):
            entries.add(f"{prefix}.original_context_length", scaling["original_max_position_embeddings"])
    elif kind not in (None, "default") and not config.get(KEY, {}).get("rope_factors"):
        raise WeightError(
            f"config.json: rope_scaling {kind!r} cannot be written as GGUF; export as safetensors"
        )
