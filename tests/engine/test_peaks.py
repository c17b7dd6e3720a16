"""Greedy texts of a model whose head is on a device: the CPU's tokens, and no row of logits comes back."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine.placed import compiled, ids, settings, texts

from arrowmind import ArrowEngine
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.on_device import DeviceHost
from arrowmind.engine.peaks import peaks_of
from arrowmind.engine.placed_plan import PlacedPlan
from arrowmind.errors import DeviceLostError


@pytest.fixture
def asked(monkeypatch):
    """Rows that a head on a device was asked for, whole and by their peaks."""
    counts = {"run_rows": 0, "run_peaks": 0}

    def spy(name):
        original = getattr(PlacedPlan, name)

        def run(self, rows, *args, **options):
            counts[name] += len(rows)
            return original(self, rows, *args, **options)

        monkeypatch.setattr(PlacedPlan, name, run)

    for name in counts:
        spy(name)
    return counts


def feeds_of(cached):
    return [(cached.start(), ids(5, 1), 3), (cached.start(), ids(9, 2), 0), (cached.start(), ids(20, 3), 1)]


@pytest.mark.parametrize("name", ["llama", "gemma2"])
def test_peaks_are_those_of_the_logits(fake, folders, name):
    host = DeviceHost("cuda:0", falls_back=False)
    placed = CachedDecoder(compiled(folders(name), host), settings("fp16"))
    plain = CachedDecoder(compiled(folders(name)), settings("fp16"))
    assert placed.gives_peaks
    assert not plain.gives_peaks
    for cached in (placed, plain):
        found = cached.append_peaks(feeds_of(cached))
        for peaks, logits in zip(found, plain.append(feeds_of(plain)), strict=True):
            np.testing.assert_array_equal(peaks.columns, peaks_of(logits).columns)
            np.testing.assert_array_equal(peaks.values, peaks_of(logits).values)
        (nothing,) = cached.append_peaks([(cached.start(), ids(3), 0)])
        assert len(nothing.columns) == 0


def test_on_a_device_that_is_not_the_cpu(other, folders):
    host = DeviceHost(f"{other}:0", falls_back=False)
    placed = CachedDecoder(compiled(folders("llama"), host), settings("fp16"))
    found = placed.append_peaks(feeds_of(placed))
    for peaks, logits in zip(found, placed.append(feeds_of(placed)), strict=True):
        np.testing.assert_array_equal(peaks.columns, logits.argmax(axis=1))
        np.testing.assert_array_equal(peaks.values, logits.max(axis=1))


def test_a_failure_at_any_call_changes_nothing(fake, folders):
    cached = CachedDecoder(compiled(folders("llama"), DeviceHost("cuda:0")), settings("fp16"))

    def peaks(**fault):
        feeds = feeds_of(cached)
        fake.set(**fault)
        found = cached.append_peaks(feeds)
        calls = fake.report()["calls"]
        fake.set()
        for handle, _, _ in feeds:
            cached.close(handle)
        return np.concatenate([one.columns for one in found]), calls

    peaks()
    expected, calls = peaks()
    for call in range(1, calls + 1):
        np.testing.assert_array_equal(peaks(at=call, status=5)[0], expected)
    np.testing.assert_array_equal(peaks(lost=calls - 2)[0], expected)
    strict = compiled(folders("llama"), DeviceHost("cuda:0", falls_back=False))
    fake.set(lost=1)
    with pytest.raises(DeviceLostError):
        strict.peaks(np.zeros((1, strict.model.hidden), np.float32))


def test_greedy_texts_bring_no_row_of_logits(fake, bytes_model, asked):
    plain, placed = (ArrowEngine(bytes_model, device=name, threads=2) for name in ("cpu", "cuda"))
    assert texts(placed) == texts(plain)
    assert asked["run_rows"] == 0
    assert asked["run_peaks"] > 24


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 2.0, "seed": 3},
        {"repetition_penalty": 0.8},
        {"logit_bias": {5: 1.5}},
        {"logprobs": 300},
    ],
    ids=str,
)
def test_whole_rows_come_where_they_are_needed(fake, bytes_model, asked, options):
    plain, placed = (ArrowEngine(bytes_model, device=name, threads=2) for name in ("cpu", "cuda"))
    assert texts(placed, count=2, **options) == texts(plain, count=2, **options)
    assert asked["run_rows"] > 24
    assert asked["run_peaks"] == 0
