"""One key of the configuration: what it may hold, and how text becomes its value.

The YAML file, the environment and the command line all hand over text, so there is one parser per type
and `ARROWMIND_MEMORY_TOP_K=5` means the same as `top_k: 5`.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import MISSING, field, fields
from typing import TYPE_CHECKING, Any, NoReturn

from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Key", "Origin", "Problem", "keys", "setting"]

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_TYPE_NAMES = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text"}
_LIST_TYPE = "tuple[str, ...]"


@dataclass(frozen=True)
class Origin:
    """Where a value comes from.

    Attributes:
        kind: `default`, `file`, `environment` or `argument`.
        where: `path:line` or the name of the variable; empty for the other two.
    """

    kind: str = "default"
    where: str = ""

    def __str__(self) -> str:
        return self.where or self.kind


@dataclass(frozen=True)
class Problem:
    """Something in the configuration that cannot be used.

    Attributes:
        key: Full name of the key, for instance `device.threads`.
        origin: Where it was set.
        message: One sentence: the key, the value, what is allowed.
        refused: True when no default may stand in for it.
    """

    key: str
    origin: Origin
    message: str
    refused: bool = False

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}"


def setting(
    default: Any,
    doc: str,
    *,
    choices: tuple[str, ...] = (),
    indexed: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    env: str | None = None,
    refuse: bool = False,
) -> Any:
    """A field of a settings dataclass.

    Args:
        default: Its default value.
        doc: What it does, one sentence, for the guide and `arrowmind config show`.
        choices: Allowed texts; for a list, of its items.
        indexed: Choices that may be followed by `:` and a whole number, such as `cuda:1`.
        low: Smallest allowed number.
        high: Largest allowed number.
        env: Name of its environment variable where it is not ARROWMIND_<SECTION>_<KEY>.
        refuse: An invalid value is an error always, never replaced by the default.
    """
    metadata = {
        **{"doc": doc, "choices": choices, "indexed": indexed},
        **{"low": low, "high": high, "env": env, "refuse": refuse},
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Key:
    """One key of the configuration, read off the field of its dataclass.

    Attributes:
        section: Name of its section, for instance `device`.
        name: Name inside the section.
        type_name: `bool`, `int`, `float`, `str` or `tuple[str, ...]`.
        default: Its default value.
        doc: What it does.
        env: Its environment variable.
        choices: Allowed texts, empty when any is.
        indexed: Choices that may be followed by `:` and a whole number.
        low: Smallest allowed number, if any.
        high: Largest allowed number, if any.
        refuse: True when an invalid value is never replaced by the default.
    """

    section: str
    name: str
    type_name: str
    default: Any
    doc: str
    env: str
    choices: tuple[str, ...]
    indexed: tuple[str, ...]
    low: float | None
    high: float | None
    refuse: bool

    @property
    def path(self) -> str:
        """Full name, `section.name`."""
        return f"{self.section}.{self.name}"

    @property
    def is_list(self) -> bool:
        """True when the value is a list of texts."""
        return self.type_name == _LIST_TYPE

    @property
    def allowed(self) -> str:
        """What the key may hold, in words."""
        if self.choices:
            names = ", ".join(choice or "''" for choice in self.choices)
            numbered = (
                f"; {', '.join(self.indexed)} also with a number, such as {self.indexed[0]}:1"
                if self.indexed
                else ""
            )
            return f"a list of: {names}" if self.is_list else f"one of: {names}{numbered}"
        if self.is_list:
            return "a list of texts"
        text = _TYPE_NAMES[self.type_name]
        if self.low is not None and self.high is not None:
            return f"{text} from {self.low:.12g} to {self.high:.12g}"
        return text if self.low is None else f"{text}, at least {self.low:.12g}"

    def parse(self, text: str) -> Any:
        """Turns text into the value.

        Raises:
            ValueError: the text is not allowed; the message names the key, the text and what is allowed.
        """
        if self.is_list:
            return self.check([item.strip() for item in text.split(",") if item.strip()])
        return self._parse_scalar(text.strip())

    def check(self, value: Any) -> Any:
        """Checks a value from Python code, or a list from YAML, and returns it in its final type.

        Raises:
            ValueError: as for `parse`.
        """
        if self.is_list:
            if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
                self._reject(value)
            return tuple(self._choose(item) for item in value)
        if isinstance(value, str):
            return self._parse_scalar(value)
        if isinstance(value, bool) != (self.type_name == "bool"):
            self._reject(value)
        if isinstance(value, bool):
            return value
        if isinstance(value, int) or (isinstance(value, float) and self.type_name == "float"):
            return self._bounded(float(value) if self.type_name == "float" else value)
        return self._reject(value)

    def _parse_scalar(self, text: str) -> Any:
        parser: dict[str, Callable[[str], Any]] = {
            "bool": self._parse_bool,
            "int": self._parse_int,
            "float": self._parse_float,
            "str": self._choose,
        }
        return parser[self.type_name](text)

    def _parse_bool(self, text: str) -> bool:
        lowered = text.lower()
        if lowered not in _TRUE | _FALSE:
            self._reject(text)
        return lowered in _TRUE

    def _parse_int(self, text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            self._reject(text)
        return int(self._bounded(value))

    def _parse_float(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            self._reject(text)
        return float(self._bounded(value))

    def _bounded(self, value: float) -> float:
        too_low = self.low is not None and value < self.low
        too_high = self.high is not None and value > self.high
        if too_low or too_high or not math.isfinite(value):
            self._reject(value)
        return value

    def _choose(self, text: str) -> str:
        if (self.choices and not self._is_choice(text)) or not text.isprintable():
            self._reject(text)
        return text

    def _is_choice(self, text: str) -> bool:
        name, colon, index = text.partition(":")
        if text in self.choices:
            return True
        return name in self.indexed and bool(colon) and re.fullmatch("[0-9]{1,4}", index) is not None

    def _reject(self, value: Any) -> NoReturn:
        raise ValueError(f"{self.path} = {_shortened(value)} is not {self.allowed}")


def _shortened(value: Any, limit: int = 80) -> str:
    text = repr(value) if not isinstance(value, int) or value.bit_length() < 256 else "a huge number"
    return text if len(text) <= limit else f"{text[:limit]}..."


@functools.cache
def keys(config_type: type[Any]) -> Mapping[str, Key]:
    """Every key of a configuration class by its full name, in order of declaration."""
    found: dict[str, Key] = {}
    for section in fields(config_type):
        factory = section.default_factory
        if factory is MISSING or not hasattr(factory, "__dataclass_fields__"):
            continue
        for item in fields(factory):  # type: ignore[arg-type]
            key = _key(section.name, item)
            found[key.path] = key
    return found


def _key(section: str, item: Any) -> Key:
    env = item.metadata["env"] or f"ARROWMIND_{section}_{item.name}".upper()
    rest = {name: item.metadata[name] for name in ("doc", "choices", "indexed", "low", "high", "refuse")}
    return Key(section, item.name, str(item.type), item.default, env=env, **rest)
