"""Where the figures of a run are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["write_result"]


def write_result(result: dict[str, Any], out: Path | None, name: str) -> Path:
    """Writes a result as JSON.

    Args:
        result: with the time it was `started`.
        out: the file; None names one in `results/` by `name` and that time.
        name: first part of such a name.

    Returns:
        The file.
    """
    stamp = result["started"].replace(":", "").replace("+0000", "Z")
    path = out or Path("results") / f"{name}-{stamp}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return path
