"""Five roles and what each may do, and rules that give them to principals.

A rule is `PRINCIPAL ROLE NAMESPACE`, three words; principal and namespace may hold `*`, `?` and `[...]`.
"""

from __future__ import annotations

import difflib
import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arrowmind.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ACTIONS", "ROLES", "Rule", "parse_rules"]

_READER = frozenset({"recall", "get", "stats"})
_WRITER = _READER | {"remember", "forget"}
_OPERATOR = frozenset({"stats", "verify", "compact", "consolidate", "undo", "backup"})
_AUDITOR = frozenset({"stats", "verify", "audit"})
_ADMIN = _WRITER | _OPERATOR | _AUDITOR | {"export", "import", "reveal"}

ROLES = {"reader": _READER, "writer": _WRITER, "operator": _OPERATOR, "auditor": _AUDITOR, "admin": _ADMIN}
"""Actions by role. Operator and auditor see no text of a memory."""

ACTIONS = tuple(sorted(_ADMIN))
"""Everything that is guarded."""


@dataclass(frozen=True)
class Rule:
    """Who has which role where.

    Attributes:
        principal: name or pattern.
        role: one of `ROLES`.
        namespace: name or pattern; `*` also means the store as a whole.
    """

    principal: str
    role: str
    namespace: str

    def allows(self, principal: str, action: str, namespace: str) -> bool:
        """Whether this rule allows an action."""
        return (
            action in ROLES[self.role]
            and self.is_for(principal)
            and fnmatch.fnmatchcase(namespace, self.namespace)
        )

    def is_for(self, principal: str) -> bool:
        """Whether this rule speaks of somebody."""
        return fnmatch.fnmatchcase(principal, self.principal)


def parse_rules(lines: Iterable[str]) -> tuple[Rule, ...]:
    """Rules from the setting `privacy.roles`.

    Raises:
        ConfigurationError: a line is no rule. None is passed over: who writes rules must not get fewer.
    """
    return tuple(map(_parse, lines))


def _parse(line: str) -> Rule:
    words = line.split()
    if len(words) != 3:
        raise ConfigurationError(
            f"privacy.roles: {line!r} is no rule; write PRINCIPAL ROLE NAMESPACE, as in 'anna writer notes-*'"
        )
    if words[1] not in ROLES:
        near = difflib.get_close_matches(words[1], ROLES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"use one of: {', '.join(ROLES)}"
        raise ConfigurationError(
            f"privacy.roles: {line!r} gives the role {words[1]!r}, which is none; {hint}"
        )
    return Rule(*words)
