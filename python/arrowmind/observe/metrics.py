"""Counters, gauges and histograms: a lock and an addition. Only rendering imports prometheus-client.

Each metric is a constant of this module: a misspelt one is an error at import, not a second time series.
"""

from __future__ import annotations

import bisect
import contextlib
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "Counter",
    "Gauge",
    "Histogram",
    "Metric",
    "add_source",
    "all_metrics",
    "ask_sources",
    "cache_free_tokens",
    "consolidation_memories",
    "consolidation_runs",
    "consolidation_tokens",
    "device_blocks",
    "device_experts",
    "device_forwards",
    "device_graphs",
    "device_memory",
    "device_sent",
    "device_serves",
    "device_upload_bytes",
    "device_upload_seconds",
    "encode_seconds",
    "fallback_events",
    "first_token_seconds",
    "generated_tokens",
    "generations",
    "http_requests",
    "http_seconds",
    "logit_rows",
    "lost_sequences",
    "memories",
    "preemptions",
    "prompt_tokens",
    "recall_seconds",
    "remove_source",
    "render_metrics",
    "reset_metrics",
    "reused_tokens",
    "sentences",
    "streams",
    "tokens",
    "waiting",
]

# Label sets kept per metric; later ones are counted under "other", so that no caller can fill the memory.
_MAX_SERIES = 256
# 0.5 ms to 16 s, doubling: a single short sentence lies at the lower end, a large batch at the upper.
_sources: list[Callable[[], None]] = []
_sources_lock = threading.Lock()
_SECONDS = tuple(0.0005 * 2**step for step in range(16))


class Metric:
    """A named family of time series, one per combination of label values."""

    kind = ""

    def __init__(self, name: str, doc: str, labels: tuple[str, ...] = ()) -> None:
        self.name = name
        self.doc = doc
        self.labels = labels
        self._lock = threading.Lock()

    def _series(self, known: object, labels: dict[str, str]) -> tuple[str, ...]:
        if set(labels) != set(self.labels):
            raise InvalidArgumentError(
                f"metric {self.name} has the labels {list(self.labels)}, but was given {sorted(labels)}"
            )
        values = tuple(str(labels[name]) for name in self.labels)
        full = isinstance(known, dict) and len(known) >= _MAX_SERIES and values not in known
        return tuple("other" for _ in values) if full else values


class Counter(Metric):
    """A number that only grows."""

    kind = "counter"

    def __init__(self, name: str, doc: str, labels: tuple[str, ...] = ()) -> None:
        super().__init__(name, doc, labels)
        self._values: dict[tuple[str, ...], float] = {}

    def add(self, amount: float = 1, **labels: str) -> None:
        """Adds `amount`, which must not be negative."""
        if amount < 0:
            raise InvalidArgumentError(f"counter {self.name} only grows; it was given {amount}")
        with self._lock:
            series = self._series(self._values, labels)
            self._values[series] = self._values.get(series, 0) + amount

    def values(self) -> dict[tuple[str, ...], float]:
        """Value of each series, by its label values."""
        with self._lock:
            return dict(self._values)

    def zero(self) -> dict[tuple[str, ...], float]:
        """What `values` stands for before the first event: without labels, one series at zero."""
        return {} if self.labels else {(): 0}

    def reset(self) -> None:
        """Forgets all values."""
        with self._lock:
            self._values.clear()


class Gauge(Counter):
    """A number that goes up and down."""

    kind = "gauge"

    def set(self, value: float, **labels: str) -> None:
        """Sets the value."""
        with self._lock:
            self._values[self._series(self._values, labels)] = value


class Histogram(Metric):
    """How often a measured value fell into each bucket."""

    kind = "histogram"

    def __init__(
        self, name: str, doc: str, labels: tuple[str, ...] = (), bounds: tuple[float, ...] = _SECONDS
    ) -> None:
        super().__init__(name, doc, labels)
        self.bounds = bounds
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, value: float, **labels: str) -> None:
        """Counts one measured value."""
        with self._lock:
            series = self._series(self._counts, labels)
            counts = self._counts.setdefault(series, [0] * (len(self.bounds) + 1))
            counts[bisect.bisect_left(self.bounds, value)] += 1
            self._sums[series] = self._sums.get(series, 0.0) + value

    @contextmanager
    def time(self, **labels: str) -> Iterator[None]:
        """Counts the seconds that the block took, also when it raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.observe(time.perf_counter() - start, **labels)

    def values(self) -> dict[tuple[str, ...], tuple[list[int], float]]:
        """Counts per bucket (the last is above all bounds) and sum of each series, by its label values."""
        with self._lock:
            return {series: (list(counts), self._sums[series]) for series, counts in self._counts.items()}

    def zero(self) -> dict[tuple[str, ...], tuple[list[int], float]]:
        """What `values` stands for before the first event."""
        return {} if self.labels else {(): ([0] * (len(self.bounds) + 1), 0.0)}

    def reset(self) -> None:
        """Forgets all values."""
        with self._lock:
            self._counts.clear()
            self._sums.clear()


encode_seconds = Histogram("arrowmind_encode_seconds", "Duration of one call of encode.")
sentences = Counter("arrowmind_sentences_total", "Texts encoded.")
tokens = Counter("arrowmind_tokens_total", "Tokens encoded.")
recall_seconds = Histogram("arrowmind_recall_seconds", "Duration of one recall.")
memories = Gauge("arrowmind_memories", "Memories in a store.", ("store",))
consolidation_runs = Counter(
    "arrowmind_consolidation_runs_total", "Runs of the consolidation, by how they ended.", ("outcome",)
)
consolidation_memories = Counter(
    "arrowmind_consolidation_memories_total",
    "Memories that were derived, were their sources, were moved, or were facts without proof.",
    ("what",),
)
consolidation_tokens = Counter(
    "arrowmind_consolidation_tokens_total", "Tokens of language models, read and written.", ("direction",)
)
fallback_events = Counter(
    "arrowmind_fallback_events_total", "Times something went another way than asked.", ("what", "reason")
)


device_forwards = Counter(
    "arrowmind_device_forwards_total",
    "Forwards of engines with a device: on it, or on the CPU in its place.",
    ("device", "where"),
)
lost_sequences = Counter(
    "arrowmind_device_lost_sequences_total",
    "Sequences whose keys and values went with a device, and were computed again when they went on.",
    ("device",),
)
device_serves = Gauge(
    "arrowmind_device_serves",
    "Whether a device is used now: 1, or 0 while the CPU serves in its place.",
    ("device",),
)
device_blocks = Gauge(
    "arrowmind_device_blocks",
    "Blocks of language models with a device: on it, and before those on the CPU.",
    ("device", "where"),
)
device_sent = Gauge(
    "arrowmind_device_sent_bytes",
    "Weights that crossed to a device since it was opened: blocks for prompts, and single experts.",
    ("device", "what"),
)
device_experts = Gauge(
    "arrowmind_device_experts",
    "Single experts since a device was opened: found there or not, brought, evicted, copies that failed.",
    ("device", "what"),
)
device_graphs = Gauge(
    "arrowmind_device_graphs",
    "Launches that ran as one since a device was opened: graphs made, run, and held now, launches that these "
    "took the place of, and forwards that none could be made for.",
    ("device", "what"),
)
logit_rows = Counter(
    "arrowmind_logit_rows_total",
    "Rows of logits on a device, by what came of them: the highest, the candidates for a token, or the row.",
    ("model", "what"),
)
device_memory = Gauge(
    "arrowmind_device_memory_bytes",
    "Memory of a device: total, free, and weights, buffers and caches of this process.",
    ("device", "what"),
)
device_upload_bytes = Counter(
    "arrowmind_device_upload_bytes_total",
    "Bytes of weights that went to a device: by pinned memory, from a file's mapping, or plainly.",
    ("device", "how"),
)
device_upload_seconds = Counter(
    "arrowmind_device_upload_seconds_total",
    "Seconds of weights on their way to a device: all, and those with pieces read and copied.",
    ("device", "what"),
)
prompt_tokens = Counter(
    "arrowmind_prompt_tokens_total", "Tokens of prompts, those found in the cache included.", ("model",)
)
reused_tokens = Counter("arrowmind_reused_tokens_total", "Tokens of prompts found in the cache.", ("model",))
generated_tokens = Counter("arrowmind_generated_tokens_total", "Tokens generated.", ("model",))
generations = Counter(
    "arrowmind_generations_total", "Texts generated, by what ended them.", ("model", "reason")
)
first_token_seconds = Histogram(
    "arrowmind_first_token_seconds", "From a request to its first token, waiting included.", ("model",)
)
streams = Gauge("arrowmind_streams", "Texts being generated.", ("model",))
waiting = Gauge("arrowmind_waiting", "Texts that wait to be generated.", ("model",))
cache_free_tokens = Gauge(
    "arrowmind_cache_free_tokens", "Room in the key-value cache, in tokens.", ("model",)
)
preemptions = Counter(
    "arrowmind_preemptions_total", "Times that a full cache sent a text back to wait.", ("model",)
)
available_memory = Gauge(
    "arrowmind_available_memory_bytes", "Left before the tightest limit, of the machine or a control group."
)
process_memory = Gauge("arrowmind_process_memory_bytes", "Memory of the process.")
memory_bytes = Gauge(
    "arrowmind_memory_bytes", "Memory of a language model, by component.", ("model", "component")
)
memory_budget = Gauge(
    "arrowmind_memory_budget_bytes", "Most memory of the process, where ram is given.", ("model",)
)
parts_budget = Gauge(
    "arrowmind_parts_budget_bytes", "Most memory of the parts of a model that come and go.", ("model",)
)
parts = Gauge("arrowmind_parts", "Experts, or layers, that come and go.", ("model", "kind"))
resident_parts = Gauge("arrowmind_resident_parts", "Those of them in memory.", ("model", "kind"))
part_uses = Counter(
    "arrowmind_part_uses_total",
    "Uses of them: there (hit), on their way (late), not sent for (miss).",
    ("model", "how"),
)
part_evictions = Counter("arrowmind_part_evictions_total", "Times that one gave way.", ("model",))
prefetched_parts = Counter("arrowmind_prefetched_parts_total", "Those read ahead.", ("model",))
wasted_prefetches = Counter(
    "arrowmind_wasted_prefetches_total", "Of these, gone before they were used.", ("model",)
)
disk_read_bytes = Counter("arrowmind_disk_read_bytes_total", "Bytes of weights read.", ("model",))
disk_stall_seconds = Counter(
    "arrowmind_disk_stall_seconds_total", "Time that answers waited for them.", ("model",)
)
pressure_events = Counter(
    "arrowmind_pressure_events_total", "Times that memory was given back, or taken again.", ("model", "what")
)
tokens_per_second = Gauge(
    "arrowmind_tokens_per_second", "Speed of writing of the text that ended last.", ("model",)
)
foretold_tokens_per_second = Gauge(
    "arrowmind_foretold_tokens_per_second", "The same as foretold for a text alone, within ram.", ("model",)
)
last_first_token_seconds = Gauge(
    "arrowmind_last_first_token_seconds", "Time to the first token of the last text alone.", ("model",)
)
foretold_first_token_seconds = Gauge(
    "arrowmind_foretold_first_token_seconds", "The same as foretold, within ram.", ("model",)
)
http_requests = Counter("arrowmind_http_requests_total", "Requests to the server.", ("route", "status"))
http_seconds = Histogram("arrowmind_http_seconds", "Duration of a request, its stream included.", ("route",))


def all_metrics() -> list[Counter | Histogram]:
    """Every metric of this module, in order of declaration."""
    return [value for value in globals().values() if isinstance(value, Counter | Histogram)]


def reset_metrics() -> None:
    """Forgets all values. For tests and for a process that begins anew after a fork."""
    for metric in all_metrics():
        metric.reset()


def add_source(tell: Callable[[], None]) -> None:
    """Calls `tell` before metrics are rendered: of what is cheaper to ask for than to follow."""
    with _sources_lock:
        _sources.append(tell)


def remove_source(tell: Callable[[], None]) -> None:
    """Calls it no longer."""
    with _sources_lock, contextlib.suppress(ValueError):
        _sources.remove(tell)


def ask_sources() -> None:
    """Brings the metrics up to date."""
    with _sources_lock:
        known = list(_sources)
    for tell in known:  # which may end one of them
        tell()


def render_metrics() -> str:
    """All metrics in the Prometheus text format."""
    ask_sources()
    from arrowmind.observe.prometheus import render  # noqa: PLC0415  prometheus-client costs 0.1 s to import

    return render(all_metrics())
