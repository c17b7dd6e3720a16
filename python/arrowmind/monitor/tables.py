"""A summary as rows of text: what the panel shows, and what scripts that want no JSON get."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arrowmind.monitor.summary import DeviceSummary, ModelSummary, Summary

__all__ = ["bar", "bytes_text", "rows_of"]

_WIDTH = 24


def rows_of(summary: Summary) -> Iterator[tuple[str, str]]:
    """What and how much, of the process and then of each model."""
    yield "process memory", _bytes(summary.memory)
    if summary.available is not None:
        yield "memory left", _bytes(summary.available)
    errors = f", {summary.errors} errors" if summary.errors else ""
    yield "requests", f"{summary.requests} ({_number(summary.requests_per_second)}/s){errors}"
    yield "latency", f"p50 {_seconds(summary.latency_p50)}, p95 {_seconds(summary.latency_p95)}"
    yield "fallbacks", "; ".join(f"{what} x{count}" for what, count in summary.fallbacks.items()) or "none"
    for device in summary.devices:
        yield "", ""
        yield f"device {device.name}", "serves" if device.serves else "the CPU serves in its place"
        yield from _device(device)
    for model in summary.models:
        yield "", ""
        yield f"model {model.name}", ""
        yield from _model(model)


def _device(device: DeviceSummary) -> Iterator[tuple[str, str]]:
    for what, size in device.memory.items():
        yield f"  {what}", f"{bar(size, device.total)} {_bytes(size)}"
    taken = sum(device.memory.values())
    yield "  together", f"{bar(taken, device.total)} {_bytes(taken)} of {_bytes(device.total)}"
    yield "  forwards", f"{device.forwards}, and {device.forwards_on_cpu} on the CPU"
    if device.blocks or device.blocks_on_cpu:
        yield "  blocks", f"{device.blocks}, and {device.blocks_on_cpu} on the CPU"
    if any(device.sent.values()):
        yield "  sent", ", ".join(f"{_bytes(size)} for {what}" for what, size in device.sent.items())
    asked = device.experts.get("hits", 0) + device.experts.get("misses", 0)
    if asked:
        brought, evicted = device.experts.get("brought", 0), device.experts.get("evicted", 0)
        yield "  experts", f"{device.experts['hits']} of {asked} there; {brought} brought, {evicted} gave way"


def _model(model: ModelSummary) -> Iterator[tuple[str, str]]:
    whole = model.budget or sum(model.memory.values())
    for component, size in model.memory.items():
        yield f"  {component}", f"{bar(size, whole)} {_bytes(size)}"
    total = sum(model.memory.values())
    of = "" if model.budget is None else f" of {_bytes(model.budget)}"
    yield "  together", f"{bar(total, whole)} {_bytes(total)}{of}"
    last, told = _number(model.last_tokens_per_second), _number(model.foretold_tokens_per_second)
    speed = f"{_number(model.tokens_per_second)} now, {last} of the last text, {told} foretold"
    yield "  tokens/s", speed
    first = _seconds(model.foretold_first_token_seconds)
    yield "  first token", f"{_seconds(model.first_token_seconds)}, {first} foretold"
    cache = "-" if model.cache_free_tokens is None else str(model.cache_free_tokens)
    queue = f"{model.streams} running, {model.waiting} waiting, {model.preemptions} sent back"
    yield "  queue", f"{queue}; room for {cache} tokens"
    if model.parts:
        yield from _parts(model)
    if model.pressure:
        yield "  pressure", ", ".join(f"{what} x{count}" for what, count in model.pressure.items())


def _parts(model: ModelSummary) -> Iterator[tuple[str, str]]:
    there = f"{model.resident_parts} of {model.parts} there"
    yield f"  {model.parts_kind} that come and go", f"{there}, budget {_bytes(model.parts_budget)}"
    hits, used = _percent(model.hit_rate), _percent(model.prefetch_use)
    yield "  hits", f"{hits}; of those read ahead {used} used; {model.evictions} gave way"
    disk = "-" if model.disk_bytes_per_second is None else f"{_bytes(model.disk_bytes_per_second)}/s"
    yield "  disk", f"{disk}, waited for {_percent(model.stalled)} of the time"


def bar(part: float, whole: float) -> str:
    """A bar of fixed width."""
    filled = round(_WIDTH * min(1.0, part / whole)) if whole > 0 else 0
    return "#" * filled + "." * (_WIDTH - filled)


def bytes_text(count: float) -> str:
    """A number of bytes for people, in powers of 1024, as budgets are given: `1.9 GiB`."""
    units = ("B", "KiB", "MiB", "GiB")
    for unit in units:
        if abs(count) < 1024 or unit == units[-1]:
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"


def _bytes(count: float | None) -> str:
    return "-" if count is None else bytes_text(count)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g} s"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"
