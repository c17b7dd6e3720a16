"""Which contenders take part, of those that a command names and those whose packages are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from arrowmind.errors import ConfigurationError
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["Row", "choose"]

_log = get_logger("arrowmind.bench")


class Row(Protocol):
    """What a table of contenders has of each."""

    @property
    def name(self) -> str:
        """By which it is asked for."""

    @property
    def group(self) -> str:
        """Who made it."""

    def missing(self) -> list[str]:
        """Packages that this interpreter lacks for it."""


def choose(
    names: str, peers: str, rows: Collection[Row], row_of: Callable[[str], Row], remedy: str
) -> list[str]:
    """Names of contenders; one whose packages are missing is left out, and that is said.

    Args:
        names: of contenders, separated by commas.
        peers: groups of which all take part, likewise.
        rows: all there are.
        row_of: finds one by its name, or tells what is wrong with that.
        remedy: what installs the packages of peers.

    Raises:
        ConfigurationError: a name or a group is unknown.
    """
    known = dict.fromkeys(row.group for row in rows if row.group != "arrowmind")
    groups = [word for word in peers.split(",") if word]
    unknown = set(groups) - set(known)
    if unknown:
        raise ConfigurationError(
            f"[bench] unknown peers {', '.join(sorted(unknown))}: choose from {', '.join(known)}"
        )
    wanted = [word for word in names.split(",") if word]
    wanted += [row.name for row in rows if row.group in groups and row.name not in wanted]
    chosen = []
    for name in wanted:
        missing = row_of(name).missing()
        if missing:
            _log.warning("contender left out", contender=name, missing=", ".join(missing), remedy=remedy)
        else:
            chosen.append(name)
    return chosen
