"""config.json of a model folder: the original's keys, and what else an encoder needs under ``arrowmind``.

::

    {..., "hidden_size": 384, ...,
     "arrowmind": {"pooling": "mean", "normalize": true, "max_tokens": 256}}

An encoder of images has ``image`` there, how images are prepared (:mod:`arrowmind.weights.preprocessing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arrowmind.errors import WeightError
from arrowmind.observe import get_logger
from arrowmind.weights.documents import read_json, read_json_object
from arrowmind.weights.preprocessing import read_preprocessing

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["KEY", "read_configuration"]

KEY = "arrowmind"

_log = get_logger("arrowmind.weights")
_POOLING_PREFIX = "pooling_mode_"
_POOLING_NAMES = {"mean_tokens": "mean", "cls_token": "cls", "mean": "mean", "cls": "cls"}
_KNOWN_MODULES = ("Transformer", "Pooling", "Normalize")


def read_configuration(folder: Path) -> dict[str, Any]:
    """Configuration of a Hugging Face or Sentence-Transformers folder, with our own keys added.

    Raises:
        WeightError: a file is missing or damaged, or the model has a step that cannot be converted.
    """
    config = read_json_object(folder / "config.json")
    if isinstance(config.get(KEY), dict):
        return config
    modules = _modules(folder)
    own = {
        "pooling": _pooling(folder, modules),
        "normalize": "Normalize" in modules,
        "max_tokens": _max_tokens(folder, config),
    }
    own |= read_preprocessing(folder)
    return {**config, KEY: {key: value for key, value in own.items() if value is not None}}


def _modules(folder: Path) -> dict[str, str]:
    """Steps of a Sentence-Transformers model: type -> folder; empty for a plain model."""
    path = folder / "modules.json"
    if not path.exists():
        return {}
    entries = read_json(path)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise WeightError(f"{path} is not a list of modules; download or copy it again")
    modules = {str(entry.get("type")).rpartition(".")[2]: str(entry.get("path", "")) for entry in entries}
    unknown = modules.keys() - set(_KNOWN_MODULES)
    if unknown:
        raise WeightError(
            f"{path}: step {', '.join(sorted(unknown))} cannot be converted; "
            f"models of {', '.join(_KNOWN_MODULES)} can"
        )
    return modules


def _pooling(folder: Path, modules: dict[str, str]) -> str:
    path = folder / modules.get("Pooling", "1_Pooling") / "config.json"
    if ".." in path.parts or not path.is_relative_to(folder):
        raise WeightError(f"{folder / 'modules.json'}: path {modules['Pooling']!r} leaves the folder")
    if not path.exists():
        _log.info("pooling assumed", pooling="mean", reason=f"{path} does not exist")
        return "mean"
    settings = read_json_object(path)
    chosen = [key.removeprefix(_POOLING_PREFIX) for key, value in settings.items() if _is_mode(key, value)]
    if isinstance(settings.get("pooling_mode"), str):
        chosen = [settings["pooling_mode"]]
    names = {_POOLING_NAMES.get(mode) for mode in chosen}
    pooling = names.pop() if len(names) == 1 else None
    if pooling is None:
        raise WeightError(f"{path}: pooling {chosen} cannot be converted; use one of mean, cls")
    return pooling


def _is_mode(key: str, value: object) -> bool:
    return key.startswith(_POOLING_PREFIX) and value is True


def _max_tokens(folder: Path, config: dict[str, Any]) -> int | None:
    """Longest input: what the encoder was trained on, at most its positions; None when nobody says."""
    known = [config.get("max_position_embeddings")]
    path = folder / "sentence_bert_config.json"
    if path.exists():
        known.append(read_json_object(path).get("max_seq_length"))
    numbers = [value for value in known if isinstance(value, int) and value > 0]
    return min(numbers, default=None)
