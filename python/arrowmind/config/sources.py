"""The two outside sources: a YAML file and the environment. Both give raw values with their origin."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.config.keys import Origin
from arrowmind.errors import ConfigurationError
from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import yaml

__all__ = ["API_KEY_VARIABLE", "KEY_VARIABLE", "PREFIX", "RawValue", "read_environment", "read_file"]

PREFIX = "ARROWMIND_"
KEY_VARIABLE = "ARROWMIND_KEY"
"""The key of encrypted models: a secret, no setting. It is never read here, shown or recorded."""
API_KEY_VARIABLE = "ARROWMIND_API_KEY"
"""Keys that clients of the server show: secrets likewise."""
BACKENDS_VARIABLE = "ARROWMIND_DEVICE_BACKENDS"
"""Folder of back ends of devices: they are programs, and no file of settings may name programs to load."""
_NO_SETTINGS = (KEY_VARIABLE, API_KEY_VARIABLE, BACKENDS_VARIABLE)

_MAX_BYTES = 64 * 1024
_MAX_DEPTH = 8


@dataclass(frozen=True)
class RawValue:
    """A value as its source has it.

    Attributes:
        key: Full name of the key as written, known or not.
        value: Text, or a list of texts, or None for a YAML null; other shapes are given as a description.
        origin: Where it stands.
        usable: False when `value` is a description of something that is neither text nor list.
    """

    key: str
    value: str | list[str] | None
    origin: Origin
    usable: bool = True


def read_environment(env: Mapping[str, str]) -> list[RawValue]:
    """Every variable ARROWMIND_... that is a setting, by its name; an empty one counts as unset."""
    names = sorted(name for name in env if name.startswith(PREFIX) and name not in _NO_SETTINGS and env[name])
    return [RawValue(name, env[name], Origin("environment", name)) for name in names]


def read_file(path: Path) -> list[RawValue]:
    """Values of a YAML file: a mapping of sections, each a mapping of keys to scalars or lists of scalars.

    Raises:
        ConfigurationError: the file cannot be read, or is not such a mapping.
    """
    root = _compose(path, _read_text(path))
    if root is None:
        return []
    values: list[RawValue] = []
    for name, node, line in _pairs(root, path, "the file"):
        if _is_null(node):
            continue
        values.extend(_section(name, node, path, line))
    return values


def _section(name: str, node: yaml.Node, path: Path, line: int) -> Iterable[RawValue]:
    if _kind(node) != "mapping":
        return [RawValue(name, f"a {_kind(node)}", Origin("file", f"{path}:{line}"), usable=False)]
    return [
        _raw(f"{name}.{key}", value, Origin("file", f"{path}:{line}"))
        for key, value, line in _pairs(node, path, name)
    ]


def _raw(key: str, node: yaml.Node, origin: Origin) -> RawValue:
    if _is_null(node):
        return RawValue(key, None, origin)
    if _kind(node) == "scalar":
        return RawValue(key, node.value, origin)
    if _kind(node) == "sequence" and all(_kind(item) == "scalar" for item in node.value):
        return RawValue(key, [item.value for item in node.value], origin)
    return RawValue(key, f"a nested {_kind(node)}", origin, usable=False)


def _kind(node: yaml.Node) -> str:
    """`scalar`, `sequence` or `mapping`."""
    return str(getattr(node, "id", "node"))


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _pairs(node: yaml.Node, path: Path, where: str) -> list[tuple[str, yaml.Node, int]]:
    """Key, value and line of each entry. Refuses what is not a mapping of texts, and keys given twice."""
    if _kind(node) != "mapping":
        raise ConfigurationError(
            f"{path}: {where} is a {_kind(node)}, but must be a mapping of sections such as 'device:'"
        )
    pairs: dict[str, tuple[str, yaml.Node, int]] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if _kind(key) != "scalar":
            raise ConfigurationError(f"{path}:{line}: a key in {where} is a {_kind(key)}, but must be a name")
        if key.value in pairs:
            raise ConfigurationError(
                f"{path}:{line}: {key.value!r} stands twice in {where}; remove one of the two"
            )
        pairs[key.value] = (key.value, value, line)
    return list(pairs.values())


def _read_text(path: Path) -> str:
    try:
        if not path.is_file():
            raise ConfigurationError(
                f"configuration file '{path}' is not there or not a file; correct the name, or leave it out "
                "to use the defaults"
            )
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"configuration file '{path}' cannot be read: {error}") from error
    if len(data) > _MAX_BYTES:
        raise ConfigurationError(
            f"configuration file '{path}' is larger than {_MAX_BYTES} bytes; it should hold settings only"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"configuration file '{path}' is not UTF-8: {error}") from error


def _compose(path: Path, text: str) -> yaml.Node | None:
    import yaml  # noqa: PLC0415  importing it costs more than reading the environment

    try:
        _check_events(path, yaml.parse(text, Loader=yaml.SafeLoader), yaml)
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"configuration file '{path}' is not valid YAML: {reason}") from error
    return None if node is None or _is_null(node) else node


def _check_events(path: Path, events: Iterable[Any], yaml_module: Any) -> None:
    """Refuses anchors (a few lines of them expand to gigabytes) and nesting deep enough to end the stack."""
    depth = 0
    for event in events:
        if getattr(event, "anchor", None) is not None:
            raise ConfigurationError(
                f"{path}:{event.start_mark.line + 1}: anchors and aliases (& and *) are not used in "
                "configuration files; write the value out"
            )
        depth += isinstance(event, yaml_module.CollectionStartEvent)
        depth -= isinstance(event, yaml_module.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise ConfigurationError(
                f"{path}:{event.start_mark.line + 1}: nested deeper than {_MAX_DEPTH} levels; "
                "a configuration file has sections and keys only"
            )


def expand(text: str) -> Path:
    """A path with `~` written out."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  Path.expanduser raises where there is no home
