"""Local models and long-term memory on Apache Arrow."""

from __future__ import annotations

__version__ = "0.1.0"
