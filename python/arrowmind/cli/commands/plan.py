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
from arrowmind.engine.device import resolve_device
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.measurements import device_rates, measure_rates
from arrowmind.engine.on_device import DeviceHost
from arrowmind.engine.planning import plan_run
from arrowmind.engine.sharing import machine_bytes, share_of
from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from arrowmind.config import Config
    from arrowmind.engine.planning import DeviceShare, RunPlan
    from arrowmind.engine.rates import Rates

__all__ = ["run"]


def run(
    session: Session,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder.")],
    *,
    budget: BudgetOptions,
) -> None:
    session = budget.applied(session)
    asked, vram = budget.ram or session.config.residency.ram, budget.vram or session.config.device.vram
    if not asked and not vram:
        raise InvalidArgumentError(
            "no budget to plan for; give --ram or --vram, for instance --ram 4GiB; without --ram it is all "
            "memory of this machine"
        )
    folder = ModelFolder(model)
    share = _share(session, folder, vram)
    rates = measure_rates(folder.weights.path, session.config.device.threads or _native.available_cpus())
    ram = parse_bytes(asked, "--ram") if asked else machine_bytes()
    found = plan_run(folder, session.config, ram, rates, share)
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


def _share(session: Session, folder: ModelFolder, vram: str) -> DeviceShare | None:
    """What the device of the settings may have of the model; None where that is the CPU.

    Raises:
        InvalidArgumentError: memory of a device is asked for, and there is none.
        DeviceError: it cannot be measured.
    """
    room = parse_bytes(vram, "--vram") if vram else 0
    settings = session.config.device
    device = resolve_device(settings.name, fallback=settings.fallback == "cpu")
    if device == "cpu":
        if vram:
            raise InvalidArgumentError(
                f"--vram {vram}: there is no device for a part of the model; `arrowmind doctor` says why"
            )
        return None
    host = DeviceHost(device, falls_back=False, most_used=settings.most_used, vram=room)
    return share_of(host, folder, session.config, device_rates(device))


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
    if plan.device:
        _print_device(plan)
    speeds = (
        ("memory", f"{bytes_text(rates.memory)} per second"),
        ("disk", f"{bytes_text(rates.disk)} per second"),
        ("prompts", f"{bytes_text(rates.prompt)} per second, times tokens"),
        ("tokens per second", f"{1 / plan.token_seconds:.2f}"),
        ("first token after 128", f"{plan.first_seconds:.2f} s"),
        ("bottleneck", plan.bottleneck),
    )
    print_table(list(speeds))


def _print_device(plan: RunPlan) -> None:
    write()
    parts = [f"{plan.device_blocks} of {plan.blocks} blocks"]
    parts += ["the head"] if plan.device_head else []
    parts += [f"experts of {plan.experts_here} blocks stay on the CPU"] if plan.experts_here else []
    rows = (
        ("device", plan.device),
        ("may be taken", bytes_text(plan.vram)),
        ("taken", bytes_text(plan.device_bytes)),
        ("there", ", ".join(parts)),
        ("weights there that a token meets", bytes_text(plan.device_active)),
        ("for single experts", bytes_text(plan.expert_room)),
        (
            "other blocks are sent there",
            f"from {plan.prompt_rows} tokens on" if plan.prompt_rows else "never",
        ),
    )
    print_table(list(rows))
