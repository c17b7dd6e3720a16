"""Options of commands that run language models: how much memory they may have, and what for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from arrowmind import _native
from arrowmind.cli.engines import open_engine
from arrowmind.cli.groups import OptionGroup
from arrowmind.config import PROFILES, overridden, with_profile
from arrowmind.engine.device import resolve_device
from arrowmind.engine.measurements import ensure_rates
from arrowmind.weights.schema import FILE_NAME

if TYPE_CHECKING:
    from arrowmind.cli.session import Session
    from arrowmind.engine import ArrowEngine

__all__ = ["BudgetOptions", "RunOptions"]


@dataclass(frozen=True)
class BudgetOptions(OptionGroup):
    """A budget of memory and the profile of its use."""

    title: ClassVar[str] = "Memory"
    ram: Annotated[str, typer.Option("--ram", help="Most memory of the process, for instance 4GiB.")] = ""
    vram: Annotated[
        str,
        typer.Option("--vram", help="Most memory of the device, for instance 4GiB; the rest is the CPU's."),
    ] = ""
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

    def measure(self, session: Session, model: str | Path) -> None:
        """Measures this machine, once, where a budget is given: what is foretold follows from it."""
        weights = Path(model) / FILE_NAME
        settings = session.config.device
        asked = (self.ram, session.config.residency.ram, self.vram, settings.vram)
        if any(asked) and weights.is_file():
            device = resolve_device(settings.name, fallback=settings.fallback == "cpu")
            ensure_rates(weights, settings.threads or _native.available_cpus(), device)


@dataclass(frozen=True)
class RunOptions(BudgetOptions):
    """The same, and what is told at the end."""

    stats: Annotated[
        bool,
        typer.Option("--stats", help="Tell what was foretold within --ram, what was measured, and read."),
    ] = False

    def open(self, session: Session, model: str) -> ArrowEngine:
        """The engine.

        Raises:
            MemoryBudgetError: the model cannot run in the budget.
            WeightError: the folder cannot be used.
        """
        if self.stats:
            self.measure(session, model)
        return open_engine(session, model, ram=self.ram, vram=self.vram)
