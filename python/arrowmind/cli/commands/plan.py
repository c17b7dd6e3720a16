"""Say before a language model is opened where its bytes will be, and how fast it will write.

Measures this machine for a second or two: how fast it reads weights from memory, and from the disk of the
model.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arrowmind import _native
from arrowmind.cli.budget import BudgetOptions
from arrowmind.cli.render import bytes_text, print_table, write
from arrowmind.cli.session import Session
from arrowmind.config import profile_values
from arrowmind.config.sizes import parse_bytes
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.measurements import measure_rates
from arrowmind.engine.planning import plan_run
from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from arrowmind.config import Config
    from arrowmind.engine.planning import Rates, RunPlan

__all__ = ["run"]


def run(
    session: Session,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder.")],
    *,
    budget: BudgetOptions,
) -> None:
    session = budget.applied(session)
    asked = budget.ram or session.config.residency.ram
    if not asked:
        raise InvalidArgumentError("no budget to plan for; give --ram, for instance --ram 4GiB")
    folder = ModelFolder(model)
    rates = measure_rates(folder.weights.path, session.config.device.threads or _native.available_cpus())
    found = plan_run(folder, session.config, parse_bytes(asked, "--ram"), rates)
    measured = {
        "memory_bytes_per_second": rates.memory,
        "disk_bytes_per_second": rates.disk,
        "prompt_bytes_per_second": rates.prompt,
    }
    profile = {"profile": session.config.residency.profile, "settings": _settings(session.config)}

    def show() -> None:
        _print(found, rates)
        _print_profile(session.config)

    session.show({"model": str(model), **found.to_dict(), **measured, **profile}, show)


def _settings(config: Config) -> dict[str, Any]:
    """Every key that profiles set, as it is."""
    return {key: config.get(key) for key in profile_values(config.residency.profile)}


def _print_profile(config: Config) -> None:
    """What profile applies, what each key is and would be without it, and where it comes from."""
    write()
    usual = profile_values("balanced")
    rows = [
        (key, str(value), str(usual[key]), str(config.origin(key)))
        for key, value in _settings(config).items()
    ]
    print_table(rows, (f"profile {config.residency.profile}", "", "balanced", "from"))


def _print(plan: RunPlan, rates: Rates) -> None:
    sizes = (
        ("budget", plan.ram),
        ("process", plan.process),
        ("tensors that stay", plan.fixed),
        ("cache of keys and values", plan.cache),
        ("scratch", plan.scratch),
        (f"{plan.parts} parts that come and go", plan.moving),
        ("room for them", plan.budget if plan.parts else 0),
        ("weights that a token meets", plan.active),
        ("read from disk for a token", plan.read),
    )
    print_table([(what, bytes_text(size)) for what, size in sizes])
    speeds = (
        ("memory", f"{bytes_text(rates.memory)} per second"),
        ("disk", f"{bytes_text(rates.disk)} per second"),
        ("prompts", f"{bytes_text(rates.prompt)} per second, times tokens"),
        ("tokens per second", f"{1 / plan.token_seconds:.2f}"),
        ("first token after 128", f"{plan.first_seconds:.2f} s"),
        ("bottleneck", plan.bottleneck),
    )
    print_table(list(speeds))
