"""What people want to know of a process: of two samples of its metrics."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arrowmind.monitor.samples import Sample

__all__ = ["DeviceSummary", "ModelSummary", "Summary", "summarise"]


@dataclass(frozen=True)
class ModelSummary:
    """Of one language model; rates are those between two samples, None after the first.

    Attributes:
        memory: bytes by component.
        budget: bytes that the process may have; None without a bound.
        parts_budget: bytes that parts which come and go may have.
        parts: number of them; `parts_kind` are experts or layers.
        resident_parts: those in memory.
        tokens_per_second: written, of all texts.
        last_tokens_per_second: of the text that ended last.
        foretold_tokens_per_second: of a text alone.
        first_token_seconds: mean of all texts so far.
        foretold_first_token_seconds: of the last text alone.
        hit_rate: parts that were there or on their way when they were needed, of all.
        prefetch_use: parts read ahead that were used, of all read ahead so far.
        disk_bytes_per_second: of weights.
        stalled: share of the time that answers waited for the disk.
        evictions: so far.
        streams: texts being generated.
        waiting: texts that wait.
        cache_free_tokens: room in the cache.
        preemptions: times that a full cache sent a text back.
        pressure: times that memory was given back, and taken again.
    """

    name: str
    memory: dict[str, int] = field(default_factory=dict)
    budget: int | None = None
    parts_budget: int | None = None
    parts_kind: str = ""
    parts: int = 0
    resident_parts: int = 0
    tokens_per_second: float | None = None
    last_tokens_per_second: float | None = None
    foretold_tokens_per_second: float | None = None
    first_token_seconds: float | None = None
    foretold_first_token_seconds: float | None = None
    hit_rate: float | None = None
    prefetch_use: float | None = None
    disk_bytes_per_second: float | None = None
    stalled: float | None = None
    evictions: int = 0
    streams: int = 0
    waiting: int = 0
    cache_free_tokens: int | None = None
    preemptions: int = 0
    pressure: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DeviceSummary:
    """Of one device.

    Attributes:
        serves: whether it is used now; else the CPU serves in its place.
        memory: bytes by what has them: `weights`, `buffers` and `caches` of this process, and `others`.
        total: bytes that it has.
        forwards: so far, on it.
        forwards_on_cpu: so far, in its place.
        blocks: of language models, on it.
        blocks_on_cpu: before those, on the CPU.
        sent: bytes of weights that crossed to it, for `prompts` and of single `experts`.
        experts: single ones: `hits`, `misses`, `brought`, `evicted` and `failed` copies.
    """

    name: str
    serves: bool = False
    memory: dict[str, int] = field(default_factory=dict)
    total: int = 0
    forwards: int = 0
    forwards_on_cpu: int = 0
    blocks: int = 0
    blocks_on_cpu: int = 0
    sent: dict[str, int] = field(default_factory=dict)
    experts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """Of a process.

    Attributes:
        memory: bytes of the process.
        available: bytes left before the tightest limit; None where nobody looks.
        requests: to the server, so far.
        requests_per_second: between two samples.
        errors: of them, with a status of 500 and above.
        latency_p50: of requests so far, in seconds.
        latency_p95: the same.
        fallbacks: how often what went another way than asked, with the reason.
        models: the language models.
        devices: those that models run on, beside the CPU.
    """

    memory: int | None = None
    available: int | None = None
    requests: int = 0
    requests_per_second: float | None = None
    errors: int = 0
    latency_p50: float | None = None
    latency_p95: float | None = None
    fallbacks: dict[str, int] = field(default_factory=dict)
    models: tuple[ModelSummary, ...] = ()
    devices: tuple[DeviceSummary, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def summarise(now: Sample, before: Sample | None = None) -> Summary:
    """What the metrics say; rates come from both samples."""
    names = {
        labels["model"]
        for metric in ("memory_bytes", "streams", "generated_tokens_total")
        for labels, _ in now.all(metric)
        if labels.get("model")
    }
    statuses = [(labels.get("status", ""), value) for labels, value in now.all("http_requests_total")]
    return Summary(
        memory=_whole(now.one("process_memory_bytes")) or None,
        available=_whole(now.one("available_memory_bytes")) or None,
        requests=int(sum(value for _, value in statuses)),
        requests_per_second=_rate(now, before, "http_requests_total"),
        errors=int(sum(value for status, value in statuses if status.startswith("5"))),
        latency_p50=_quantile(now, "http_seconds", 0.5),
        latency_p95=_quantile(now, "http_seconds", 0.95),
        fallbacks={
            f"{labels.get('what')}: {labels.get('reason')}": int(value)
            for labels, value in now.all("fallback_events_total")
        },
        models=tuple(_model(name, now, before) for name in sorted(names)),
        devices=tuple(
            _device(labels["device"], serves > 0, now) for labels, serves in now.all("device_serves")
        ),
    )


def _device(name: str, serves: bool, now: Sample) -> DeviceSummary:  # noqa: FBT001
    sizes = {labels["what"]: int(size) for labels, size in now.all("device_memory_bytes", device=name)}
    total = sizes.pop("total", 0)
    taken = total - sizes.pop("free", 0)
    return DeviceSummary(
        name,
        serves,
        {**sizes, "others": max(0, taken - sum(sizes.values()))},
        total,
        int(now.sum("device_forwards_total", device=name, where="device")),
        int(now.sum("device_forwards_total", device=name, where="cpu")),
        int(now.sum("device_blocks", device=name, where="device")),
        int(now.sum("device_blocks", device=name, where="cpu")),
        {labels["what"]: int(size) for labels, size in now.all("device_sent_bytes", device=name)},
        {labels["what"]: int(count) for labels, count in now.all("device_experts", device=name)},
    )


def _model(name: str, now: Sample, before: Sample | None) -> ModelSummary:
    memory = {labels["component"]: int(size) for labels, size in now.all("memory_bytes", model=name)}
    kinds = [labels.get("kind", "") for labels, _ in now.all("parts", model=name)]
    texts = now.sum("first_token_seconds_count", model=name)
    first = now.sum("first_token_seconds_sum", model=name)
    ahead = now.sum("prefetched_parts_total", model=name)
    wasted = now.sum("wasted_prefetches_total", model=name)
    return ModelSummary(
        name,
        memory=memory,
        budget=_whole(now.one("memory_budget_bytes", model=name)),
        parts_budget=_whole(now.one("parts_budget_bytes", model=name)),
        parts_kind=kinds[0] if kinds else "",
        parts=int(now.sum("parts", model=name)),
        resident_parts=int(now.sum("resident_parts", model=name)),
        tokens_per_second=_rate(now, before, "generated_tokens_total", model=name),
        last_tokens_per_second=now.one("tokens_per_second", model=name),
        foretold_tokens_per_second=now.one("foretold_tokens_per_second", model=name),
        first_token_seconds=first / texts if texts else None,
        foretold_first_token_seconds=now.one("foretold_first_token_seconds", model=name),
        hit_rate=_hit_rate(now, before, name),
        prefetch_use=(ahead - wasted) / ahead if ahead else None,
        disk_bytes_per_second=_rate(now, before, "disk_read_bytes_total", model=name),
        stalled=_rate(now, before, "disk_stall_seconds_total", model=name),
        evictions=int(now.sum("part_evictions_total", model=name)),
        streams=int(now.sum("streams", model=name)),
        waiting=int(now.sum("waiting", model=name)),
        cache_free_tokens=_whole(now.one("cache_free_tokens", model=name)),
        preemptions=int(now.sum("preemptions_total", model=name)),
        pressure={
            labels["what"]: int(value) for labels, value in now.all("pressure_events_total", model=name)
        },
    )


def _rate(now: Sample, before: Sample | None, name: str, **labels: str) -> float | None:
    """Growth per second; None after the first sample, and where the counter began anew."""
    if before is None or now.time <= before.time:
        return None
    grown = now.sum(name, **labels) - before.sum(name, **labels)
    return grown / (now.time - before.time) if grown >= 0 else None


def _hit_rate(now: Sample, before: Sample | None, model: str) -> float | None:
    """Between two samples if anything was asked for, else of all so far."""

    def uses(sample: Sample) -> dict[str, float]:
        return {labels["how"]: value for labels, value in sample.all("part_uses_total", model=model)}

    total = uses(now)
    if before is not None:
        earlier = uses(before)
        recent = {how: value - earlier.get(how, 0) for how, value in total.items()}
        if sum(recent.values()) > 0 and min(recent.values()) >= 0:
            total = recent
    asked = sum(total.values())
    return (asked - total.get("miss", 0)) / asked if asked else None


def _quantile(sample: Sample, name: str, share: float) -> float | None:
    """By the buckets of a histogram, all series together: the upper bound of the bucket it falls into."""
    counts: dict[float, float] = {}
    for labels, value in sample.all(f"{name}_bucket"):
        bound = float(labels.get("le", "inf"))
        counts[bound] = counts.get(bound, 0) + value
    total = counts.get(math.inf, 0)
    if not total:
        return None
    found = next(bound for bound in sorted(counts) if counts[bound] >= share * total)
    finite = [bound for bound in counts if math.isfinite(bound)]
    return found if math.isfinite(found) else max(finite, default=None)


def _whole(value: float | None) -> int | None:
    return None if value is None or not math.isfinite(value) else int(value)
