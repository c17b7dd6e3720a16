"""Forwards whose results stay on the device: vectors and logits for other libraries there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from arrowmind import _native
from arrowmind.engine.batching import pack
from arrowmind.engine.device_array import DeviceArray
from arrowmind.observe import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from arrowmind.engine.placed_plan import PlacedPlan

__all__ = ["rows_there", "vectors_there"]


def vectors_there(
    plan: _native.Plan | PlacedPlan | None,
    count: int,
    parts: Callable[[], Iterator[tuple[slice, list[list[int]]]]],
    here: Callable[[], NDArray[np.float32]],
    *,
    normalise: bool,
) -> DeviceArray:
    """Embeddings of `count` texts where the plan runs.

    Args:
        plan: Of an encoder; None, or one of the CPU, gives memory of the host.
        count: Of all texts.
        parts: Slices of them with their token ids, anew each time it is called.
        here: What the CPU gives for all of them; asked where there is no device, or it failed.
        normalise: Scale each embedding to length 1.
    """

    def there(placed: _native.DevicePlan, together: int) -> _native.SharedRows:
        started, tokens = time.perf_counter(), 0
        rows = placed.rows(count)
        for part, sequences in parts():
            batch = pack(sequences)
            tokens += len(batch.token_ids)
            places = (batch.order + part.start).astype(np.int32)
            placed.run_there(batch.token_ids, batch.offsets, rows, places, normalise, together)
        metrics.sentences.add(count)  # what the CPU computes counts itself
        metrics.tokens.add(tokens)
        metrics.encode_seconds.observe(time.perf_counter() - started)
        return rows

    return _run(plan, there, here)


def rows_there(
    plan: _native.Plan | PlacedPlan, rows: NDArray[np.float32], here: Callable[[], NDArray[np.float32]]
) -> DeviceArray:
    """What a plan makes of rows, where it runs."""

    def there(placed: _native.DevicePlan, together: int) -> _native.SharedRows:
        results = placed.rows(len(rows))
        placed.run_rows_there(rows, results, np.arange(len(rows), dtype=np.int32), together)
        return results

    return _run(plan, there, here)


def _run(
    plan: _native.Plan | PlacedPlan | None,
    there: Callable[[_native.DevicePlan, int], _native.SharedRows],
    here: Callable[[], NDArray[np.float32]],
) -> DeviceArray:
    def on_host() -> _native.SharedRows:
        return _native.SharedRows.of_host(np.ascontiguousarray(here()))

    if plan is None or isinstance(plan, _native.Plan):
        return DeviceArray(on_host())
    return DeviceArray(plan.run_there(there, on_host))
