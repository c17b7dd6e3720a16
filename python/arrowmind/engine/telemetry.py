"""Tells metrics of a language model's memory, and of what comes and goes, whenever somebody reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.engine.residence import process_bytes
from arrowmind.models.decoder_spec import RoutedFeedForward
from arrowmind.observe import metrics

if TYPE_CHECKING:
    import weakref

    from arrowmind.engine.decoding import CachedDecoder
    from arrowmind.engine.folder import ModelFolder
    from arrowmind.engine.language import LanguageModel
    from arrowmind.observe.metrics import Counter

__all__ = ["Telemetry"]

# Native counters, and the metrics that grow with them; with the labels beside the model.
_GROWING: dict[str, tuple[Counter, dict[str, str]]] = {
    "hits": (metrics.part_uses, {"how": "hit"}),
    "late": (metrics.part_uses, {"how": "late"}),
    "misses": (metrics.part_uses, {"how": "miss"}),
    "evictions": (metrics.part_evictions, {}),
    "prefetched": (metrics.prefetched_parts, {}),
    "wasted": (metrics.wasted_prefetches, {}),
    "bytes_read": (metrics.disk_read_bytes, {}),
    "stalled_seconds": (metrics.disk_stall_seconds, {}),
}


class Telemetry:
    """Of one model. Registered while it is open; asked by whoever renders the metrics."""

    def __init__(self, folder: ModelFolder, language: LanguageModel, ram: int | None) -> None:
        """Counts what does not change.

        Args:
            folder: of the model.
            language: the model.
            ram: bytes that the process may have; None for no bound.
        """
        self._name = folder.path.name
        self._native = None if language.residence is None else language.residence.weights.residency
        self._caches: list[weakref.ref[CachedDecoder]] = []
        self._before: dict[str, float] = {}
        self._ram = ram
        spec = folder.decoder
        routed = [
            block.feed_forward for block in spec.blocks if isinstance(block.feed_forward, RoutedFeedForward)
        ]
        self._parts = "experts" if routed else "layers"
        weights = folder.weights
        moving = set() if language.residence is None else language.residence.weights.moving
        self._router = sum(weights.spec(one.router.weight).codes_bytes for one in routed)
        self._base = sum(weights.spec(name).codes_bytes for name in weights.names() if name not in moving)
        if spec.head.weight == spec.embedding:  # the head is a copy of the table
            self._base += weights.spec(spec.embedding).codes_bytes
        metrics.add_source(self.tell)

    def add_cache(self, cache: weakref.ref[CachedDecoder]) -> None:
        """Another cache of keys and values."""
        self._caches.append(cache)

    def memory(self) -> dict[str, int]:
        """Bytes by component: `base`, `router`, `experts` or `layers` that come and go, `kv_cache`."""
        found = {"base": self._base - self._router, "kv_cache": self._cache_bytes()}
        if self._router:
            found["router"] = self._router
        if self._native is not None:
            found[self._parts] = int(self._native.counters()["resident_bytes"])
        return found

    def tell(self) -> None:
        """Sets the metrics to what is."""
        for component, size in self.memory().items():
            metrics.memory_bytes.set(size, model=self._name, component=component)
        metrics.process_memory.set(process_bytes())
        if self._ram is not None:
            metrics.memory_budget.set(self._ram, model=self._name)
        if self._native is None:
            return
        counters = self._native.counters()
        metrics.parts_budget.set(self._native.budget, model=self._name)
        labels = {"model": self._name, "kind": self._parts}
        metrics.parts.set(len(self._native.block_bytes()), **labels)
        metrics.resident_parts.set(counters["resident_blocks"], **labels)
        for name, (counter, more) in _GROWING.items():
            counter.add(max(0.0, counters[name] - self._before.get(name, 0)), model=self._name, **more)
        self._before = counters

    def close(self) -> None:
        """Tells once more how much it was, and no longer of memory."""
        metrics.remove_source(self.tell)
        self.tell()
        for component in self.memory():
            metrics.memory_bytes.set(0, model=self._name, component=component)

    def _cache_bytes(self) -> int:
        return sum(cache.cache_bytes for one in self._caches if (cache := one()) is not None)
