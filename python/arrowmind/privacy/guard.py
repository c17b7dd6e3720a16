"""Whether somebody may do something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.errors import InvalidArgumentError, PermissionDeniedError
from arrowmind.observe import get_logger
from arrowmind.privacy.access.entry import Access
from arrowmind.privacy.roles import ACTIONS, ROLES, parse_rules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from arrowmind.privacy.access.log import AccessLog
    from arrowmind.privacy.roles import Rule

__all__ = ["Guard"]

_log = get_logger(__name__)


class Guard:
    """Decides by rules. Without any everything is allowed; with one, what no rule allows is refused."""

    def __init__(self, rules: Iterable[Rule] = (), log: AccessLog | None = None) -> None:
        """Takes rules, and the log that refusals go to.

        Args:
            rules: see `parse_rules`.
            log: gets an entry for each refusal, on disk before the error is raised. What is allowed is logged
                by who does it.
        """
        self._rules = tuple(rules)
        self._log = log

    @classmethod
    def from_lines(cls, lines: Iterable[str], log: AccessLog | None = None) -> Guard:
        """With rules as the setting `privacy.roles` writes them.

        Raises:
            ConfigurationError: a line is no rule.
        """
        return cls(parse_rules(lines), log)

    def allows(self, principal: str, action: str, namespace: str = "") -> bool:
        """Whether an action is allowed; nothing is logged.

        Raises:
            InvalidArgumentError: there is no such action.
        """
        if action not in ACTIONS:
            raise InvalidArgumentError(f"action {action!r} is unknown; use one of: {', '.join(ACTIONS)}")
        return not self._rules or any(rule.allows(principal, action, namespace) for rule in self._rules)

    def allows_somewhere(self, principal: str, action: str) -> bool:
        """Whether an action is allowed in any namespace; nothing is logged."""
        given = (rule for rule in self._rules if rule.is_for(principal) and action in ROLES[rule.role])
        return not self._rules or any(given)

    def check(self, principal: str, action: str, namespace: str = "") -> None:
        """Refuses what is not allowed.

        Args:
            principal: who asks.
            action: one of `ACTIONS`.
            namespace: of what; the empty one is the whole store, covered by rules for `*` only.

        Raises:
            PermissionDeniedError: no rule allows it.
            InvalidArgumentError: there is no such action.
            StorageError: the refusal cannot be logged.
        """
        if self.allows(principal, action, namespace):
            _log.debug("allowed", principal=principal, action=action, namespace=namespace)
            return
        _log.warning("refused", principal=principal, action=action, namespace=namespace)
        if self._log is not None:
            access = Access(action, caller=principal, namespace=namespace, allowed=False)
            self._log.record(access, sync=True)
        where = f"namespace {namespace!r}" if namespace else "the store as a whole"
        raise PermissionDeniedError(
            f"{principal!r} may not {action} in {where}; a rule in privacy.roles could allow it"
        )
