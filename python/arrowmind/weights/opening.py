"""Opens weights of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from arrowmind.errors import WeightError
from arrowmind.observe import get_logger
from arrowmind.weights import manifest, schema
from arrowmind.weights.encryption.header import INDEX_NAME, MAGIC
from arrowmind.weights.file import WeightFile

if TYPE_CHECKING:
    import os

    from arrowmind._native import EarlyWeights
    from arrowmind.weights.source import WeightSource

__all__ = ["PARQUET_NAME", "open_weights"]

PARQUET_NAME = "weights.parquet"

_log = get_logger("arrowmind.weights")
_PARQUET_NAMES = (PARQUET_NAME, "weights_int8.parquet")
_ARROW_MAGIC, _PARQUET_MAGIC, _GGUF_MAGIC = b"ARROW1", b"PAR1", b"GGUF"


def open_weights(
    path: str | os.PathLike[str], *, verify: str = "first_touch", early: EarlyWeights | None = None
) -> WeightSource:
    """Opens the weights at ``path``; their kind is logged.

    Args:
        path: a model folder (weights.arrow is taken before weights.parquet, safetensors and GGUF), or
            one weights.arrow, Parquet or GGUF file.
        verify: when a weights.arrow is compared with its hash tree, and the tree with manifest.json:
            ``off``, ``first_touch`` or ``full``; see :meth:`WeightFile.open`.
        early: reads the weights.arrow of the folder already.

    Raises:
        WeightError: there are no weights, or not of a kind this version reads.
        IntegrityError: they are damaged.
    """
    source = _open(Path(path), verify, early)
    _log.info("weights opened", path=str(source.path), kind=source.kind, tensors=len(source.names()))
    return source


def _open(path: Path, verify: str, early: EarlyWeights | None) -> WeightSource:
    if path.is_dir():
        return _open_folder(path, verify, early)
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise WeightError(f"{path} cannot be opened ({error.strerror}); give a model folder") from error
    if magic.startswith(_ARROW_MAGIC):
        return WeightFile.open(path, verify)
    if magic.startswith(_PARQUET_MAGIC):
        return _open_parquet(path)
    if magic.startswith(_GGUF_MAGIC):
        return _open_gguf(path)
    if magic == MAGIC:
        raise WeightError(_encrypted(path))
    raise WeightError(f"{path} is no Arrow, Parquet or GGUF file; give a model folder or one of those")


def _open_native(folder: Path, verify: str, early: EarlyWeights | None) -> WeightSource:
    """The weights.arrow of a folder: of the manifest's, if there is one, by the root of its hash tree."""
    path = folder / schema.FILE_NAME
    listed = {}
    if verify != "off" and (folder / manifest.FILE_NAME).exists():
        listed = manifest.read_manifest(folder)
    weights = WeightFile.open(path, verify, early)
    try:
        if schema.FILE_NAME in listed:
            manifest.check_root(path, weights.root, listed[schema.FILE_NAME])
    except BaseException:
        weights.close()
        raise
    return weights


def _open_folder(folder: Path, verify: str, early: EarlyWeights | None) -> WeightSource:
    if (folder / schema.FILE_NAME).exists():
        return _open_native(folder, verify, early)
    for name in _PARQUET_NAMES:
        if (folder / name).exists():
            return _open_parquet(folder / name)
    if any(folder.glob("*.safetensors")):
        from arrowmind.weights.huggingface import HuggingFaceModel  # noqa: PLC0415  (conversion only)

        return HuggingFaceModel.open(folder)
    files = sorted(folder.glob("*.gguf"))
    if len(files) == 1:
        return _open_gguf(files[0])
    if files:
        raise WeightError(
            f"{folder} holds {len(files)} GGUF files; give one of them, for instance {files[0]}"
        )
    if (folder / INDEX_NAME).exists():
        raise WeightError(_encrypted(folder))
    raise WeightError(
        f"{folder} holds no weights; {schema.FILE_NAME}, {PARQUET_NAME}, model.safetensors or a .gguf file "
        "is needed (`arrowmind convert` makes the first)"
    )


def _encrypted(path: Path) -> str:
    return f"{path} is encrypted; `arrowmind decrypt {path} OUT` makes one that can be opened"


def _open_parquet(path: Path) -> WeightSource:
    from arrowmind.weights.parquet_source import ParquetWeights  # noqa: PLC0415  (conversion only)

    return ParquetWeights.open(path)


def _open_gguf(path: Path) -> WeightSource:
    from arrowmind.weights.gguf.source import GgufModel  # noqa: PLC0415  (conversion only)

    return GgufModel.open(path)
