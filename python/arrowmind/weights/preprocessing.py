"""How a model's images are prepared: what its folder says, in the few words that our configuration keeps.

::

    {"image": {"resize": 224, "crop": 224, "mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28]}}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arrowmind.errors import WeightError
from arrowmind.weights.documents import read_json_object

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_preprocessing"]

_BICUBIC = 3  # Pillow's number
_STEPS = ("do_resize", "do_center_crop", "do_rescale", "do_normalize")


def read_preprocessing(folder: Path) -> dict[str, Any]:
    """What preprocessor_config.json or processor_config.json says of images; empty where neither does.

    Raises:
        WeightError: a file is damaged, or asks for a step that is not done.
    """
    found = _settings(folder)
    if found is None:
        return {}
    path, settings = found
    off = [step for step in _STEPS if settings.get(step, True) is not True]
    if off or settings.get("resample", _BICUBIC) != _BICUBIC:
        wrong = off[0] if off else "resample"
        raise WeightError(
            f"{path}: {wrong} is {settings.get(wrong)!r}; images are scaled bicubically, cut and normalised"
        )
    image = {
        "resize": _edge(settings.get("size"), "shortest_edge"),
        "crop": _edge(settings.get("crop_size"), "height"),
        "mean": settings.get("image_mean"),
        "std": settings.get("image_std"),
    }
    return {"image": {key: value for key, value in image.items() if value is not None}}


def _settings(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    path = folder / "preprocessor_config.json"
    if path.is_file():
        values = read_json_object(path)
        return (path, values) if "image_mean" in values else None
    path = folder / "processor_config.json"
    nested = read_json_object(path).get("image_processor") if path.is_file() else None
    return (path, nested) if isinstance(nested, dict) and "image_mean" in nested else None


def _edge(value: object, key: str) -> object:
    """A size, which older files write as a number."""
    return value.get(key, value.get("width")) if isinstance(value, dict) else value
