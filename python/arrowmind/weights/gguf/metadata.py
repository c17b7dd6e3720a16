"""The metadata of a GGUF file, value by value, with a clear error for each that is missing or wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

from arrowmind.errors import WeightError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GgufMetadata"]

_T = TypeVar("_T", int, float, str, bool)
_NO_TOKEN = 0xFFFFFFFF  # how writers say -1 in 32 bits without a sign


class GgufMetadata:
    """Metadata by key, as :meth:`arrowmind._native.GgufFile.metadata` gives them."""

    def __init__(self, values: Mapping[str, object], path: object) -> None:
        self._values = values
        self.path = path

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str) -> object:
        """The value of a key as it is; None when there is none."""
        return self._values.get(key)

    def integer(self, key: str, default: int | None = None) -> int:
        """The whole number at ``key``, at least 0; without a default it must be there."""
        value = self._one(key, int, default)
        if not 0 <= value < 1 << 31:
            raise WeightError(f"{self.path}: {key} is {value}; a whole number from 0 to 2^31 is needed")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """The number at ``key``, in the fewest digits that mean the same float32."""
        value = self._values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise WeightError(f"{self.path}: {key} is {value!r:.80}; a number is needed")
        return float(str(np.float32(value)))

    def flag(self, key: str, *, default: bool) -> bool:
        """The bool at ``key``."""
        return self._one(key, bool, default)

    def text(self, key: str, default: str | None = None) -> str:
        """The text at ``key``; without a default it must be there."""
        return self._one(key, str, default)

    def token(self, key: str, count: int) -> int | None:
        """The id of a token at ``key``, below ``count``; None when there is none."""
        value = self._values.get(key)
        if value is None or value == _NO_TOKEN:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < count:
            raise WeightError(f"{self.path}: {key} is {value!r:.80}; a token id below {count} is needed")
        return value

    def texts(self, key: str) -> list[str]:
        """The texts at ``key``.

        Raises:
            WeightError: there are none, or one is not UTF-8.
        """
        value = self._values.get(key)
        if not isinstance(value, list):
            raise WeightError(f"{self.path}: {key} is {type(value).__name__}; a list of texts is needed")
        for index, text in enumerate(value):
            if not isinstance(text, str):
                raise WeightError(f"{self.path}: {key}[{index}] is no text in UTF-8: {text!r:.80}")
        return value

    def numbers(self, key: str, count: int) -> list[float] | None:
        """The ``count`` numbers at ``key``; None when there are none."""
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, np.ndarray) or value.shape != (count,):
            raise WeightError(f"{self.path}: {key} must be {count} numbers, one for each token")
        return cast("list[float]", value.tolist())

    def _one(self, key: str, kind: type[_T], default: _T | None) -> _T:
        value = self._values.get(key, default)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            found = "missing" if value is None else f"{value!r:.80}"
            raise WeightError(f"{self.path}: {key} is {found}; {kind.__name__} is needed")
        return value
