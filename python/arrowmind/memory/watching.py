"""Who may do what with a store, what is taken out of memories before they are kept, and what is logged."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

from arrowmind.errors import PermissionDeniedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.config import PrivacySettings
    from arrowmind.memory.intake.drafts import Draft
    from arrowmind.memory.storage.paths import StorePaths
    from arrowmind.privacy import Privacy

__all__ = ["Caller", "Watch"]


@dataclass(frozen=True)
class Caller:
    """Who uses a store.

    Attributes:
        name: of the person or program; None takes `privacy.principal`.
        purpose: why, for the log.
        namespace: all that is done is confined to it; None for the whole store.
    """

    name: str | None = None
    purpose: str = ""
    namespace: str | None = None


class Watch:
    """Stands at the doors of a store. What it needs is opened by the first call that comes by."""

    def __init__(self, settings: PrivacySettings, paths: StorePaths, caller: Caller) -> None:
        """Sets it up.

        Args:
            settings: the section `privacy` of the configuration.
            paths: of the store.
            caller: who uses the store.
        """
        self._settings, self._paths, self._caller = settings, paths, caller
        self._first: Watch | None = None

    def acting_as(self, caller: Caller) -> Watch:
        """The same for another caller; log, guard and key are shared."""
        other = Watch(self._settings, self._paths, caller)
        other._first = self._first or self
        return other

    @cached_property
    def privacy(self) -> Privacy:
        """Redactor, log, guard and key."""
        if self._first is not None:
            return self._first.privacy
        from arrowmind.privacy import open_privacy  # noqa: PLC0415  a fifth of a cold recall's start

        return open_privacy(self._settings, self._paths.privacy, cipher=self._paths.cipher)

    def allow(self, action: str, namespace: str | None = None) -> None:
        """Refuses what no rule allows; without rules, nothing.

        Raises:
            PermissionDeniedError: the caller may not.
        """
        if self._settings.roles:
            self.privacy.guard.check(self._name(), action, namespace or self._caller.namespace or "")

    def covers(self, action: str) -> bool:
        """Whether the caller may do something with all that this object may see."""
        return not self._settings.roles or self.privacy.guard.allows(
            self._name(), action, self._caller.namespace or ""
        )

    def allow_somewhere(self, action: str) -> None:
        """Refuses what no rule allows in any namespace. Raises as `allow`."""
        if self._settings.roles and not self.privacy.guard.allows_somewhere(self._name(), action):
            self.allow(action)

    def admits(self, action: str, namespace: str, *, logged: bool) -> bool:
        """Whether the caller may do something in a namespace; a refusal may be logged."""
        guard = self.privacy.guard
        if not logged:
            return guard.allows(self._name(), action, namespace)
        try:
            guard.check(self._name(), action, namespace)
        except PermissionDeniedError:
            return False
        return True

    def _name(self) -> str:
        return self._caller.name or self.privacy.principal

    def note(
        self,
        action: str,
        ids: Sequence[int] = (),
        *,
        namespace: str | None = None,
        query: str | None = None,
        sync: bool = False,
    ) -> None:
        """Logs what was done.

        Args:
            action: what.
            ids: memories concerned.
            namespace: of what; None takes the caller's.
            query: what was asked; only a hash with the store's key is kept.
            sync: wait until it is on disk.
        """
        log = None if self._settings.access_log == "off" else self.privacy.log
        if log is None:
            return
        from arrowmind.privacy import Access  # noqa: PLC0415  imported already

        name = self._name()
        where = namespace or self._caller.namespace or ""
        log.record(Access(action, name, self._caller.purpose, where, tuple(ids)), query=query, sync=sync)

    def redact(self, drafts: list[Draft]) -> list[Draft]:
        """The memories without the private data that is looked for."""
        if self._settings.redact in ((), ("none",)) or self.privacy.redactor is None:
            return drafts
        found: list[Draft] = []
        for namespace, group in groupby(drafts, key=lambda draft: draft.namespace):
            held = list(group)
            texts = self.privacy.redactor.redact_many([draft.text for draft in held], namespace)
            found += [
                replace(draft, text=text.text, metadata=self._redact_json(draft.metadata, namespace))
                for draft, text in zip(held, texts, strict=True)
            ]
        return found

    def _redact_json(self, data: bytes, namespace: str) -> bytes:
        if not data or self.privacy.redactor is None:
            return data
        values: Any = self.privacy.redactor.redact_json(json.loads(data), namespace)
        return json.dumps(values, separators=(",", ":")).encode()

    def close(self) -> None:
        """Writes what the log still holds; it is of the store as it was opened."""
        if self._first is None and "privacy" in self.__dict__:
            self.privacy.close()
