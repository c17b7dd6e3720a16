"""Say before a language model is opened where its bytes will be, and how fast it will write.

Measures this machine for a second or two: how fast it reads weights from memory, and from the disk of the
model.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arrowmind import _native
from arrowmind.cli.render import bytes_text, print_table
from arrowmind.cli.session import Session
from arrowmind.config.sizes import parse_bytes
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.machine import disk_rate, memory_rate
from arrowmind.engine.planning import Rates, plan_run
from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from arrowmind.engine.planning import RunPlan

__all__ = ["run"]


def run(
    session: Session,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder.")],
    *,
    ram: Annotated[str, typer.Option("--ram", help="Most memory of the process, for instance 4GiB.")] = "",
) -> None:
    asked = ram or session.config.residency.ram
    if not asked:
        raise InvalidArgumentError("no budget to plan for; give --ram, for instance --ram 4GiB")
    folder = ModelFolder(model)
    rates = Rates(
        memory_rate(_native.ThreadPool(session.config.device.threads or _native.available_cpus())),
        disk_rate(folder.weights.path),
    )
    found = plan_run(folder, session.config, parse_bytes(asked, "--ram"), rates)
    measured = {"memory_bytes_per_second": rates.memory, "disk_bytes_per_second": rates.disk}
    session.show({"model": str(model), **found.to_dict(), **measured}, lambda: _print(found, rates))


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
        ("tokens per second", f"{1 / plan.token_seconds:.2f}"),
        ("first token after 128", f"{plan.first_seconds:.2f} s"),
        ("bottleneck", plan.bottleneck),
    )
    print_table(list(speeds))
