"""Options of commands that run language models: how much memory they may have, and what for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from arrowmind.cli.groups import OptionGroup
from arrowmind.config import PROFILES, overridden, with_profile

if TYPE_CHECKING:
    from arrowmind.cli.session import Session

__all__ = ["BudgetOptions"]


@dataclass(frozen=True)
class BudgetOptions(OptionGroup):
    """A budget of memory and the profile of its use."""

    title: ClassVar[str] = "Memory"
    ram: Annotated[str, typer.Option("--ram", help="Most memory of the process, for instance 4GiB.")] = ""
    profile: Annotated[
        str | None, typer.Option("--profile", help=f"What to be fast at: {', '.join(PROFILES)}.")
    ] = None

    def applied(self, session: Session) -> Session:
        """The session with the settings of the profile.

        Raises:
            ConfigurationError: There is no such profile.
        """
        if self.profile is None:
            return session
        asked = overridden(session.config, {"residency.profile": self.profile})
        return dataclasses.replace(session, config=with_profile(asked))
