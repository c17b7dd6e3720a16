"""Local models and long-term memory on Apache Arrow.

::

    engine = arrowmind.ArrowEngine("models/minilm-int8")
    vectors = engine.encode(["a text", "another"])

    with arrowmind.MemoryStore("memory", engine) as store:
        store.remember("The spare key is under the third flowerpot.")
        hits = store.recall("How do I get in without my key?")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from arrowmind.startup import undisturbed

if TYPE_CHECKING:
    from arrowmind.engine import ArrowEngine
    from arrowmind.engine.quantizing import ArrowQuantizer, QuantizationConfig
    from arrowmind.memory import MemoryStore

__all__ = ["ArrowEngine", "ArrowQuantizer", "MemoryStore", "QuantizationConfig", "__version__"]

__version__ = "0.1.0"

# Public names are imported when they are first asked for: `import arrowmind` costs what it must and no more.
_HOMES = {
    "ArrowEngine": "arrowmind.engine",
    "ArrowQuantizer": "arrowmind.engine.quantizing",
    "MemoryStore": "arrowmind.memory",
    "QuantizationConfig": "arrowmind.engine.quantizing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'arrowmind' has no attribute {name!r}")
    with undisturbed():
        return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
