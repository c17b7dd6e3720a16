"""Tokens by chance of a model whose head is on a device: the CPU's, and rows of logits stay there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.engine.placed import PROMPTS, compiled, ids, settings, texts

from arrowmind import ArrowEngine
from arrowmind.engine import forward_room
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.on_device import DeviceHost
from arrowmind.engine.placed_plan import PlacedPlan
from arrowmind.engine.row_candidates import CandidatesWanted, candidates_of
from arrowmind.errors import DeviceLostError, InvalidArgumentError
from arrowmind.generate import CandidateNeed
from arrowmind.observe import metrics

NEEDS = [CandidateNeed(5, (0.7, 1.0)), CandidateNeed(1), CandidateNeed(20, (2.0,)), None]


@pytest.fixture
def asked(monkeypatch):
    """Rows that a head on a device was asked for, whole and by their candidates."""
    counts = {"run_rows": 0, "run_peaks": 0, "run_candidates": 0}

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
    counts = [(5, 3), (9, 0), (20, 1), (4, 2)]
    return [(cached.start(), ids(tokens, place), rows) for place, (tokens, rows) in enumerate(counts)]


def check(found, logits, need, rtol):
    if need is None:
        np.testing.assert_array_equal(found, logits)
        return
    for row, candidates in zip(logits, found.rows, strict=True):
        order = np.argsort(-row, kind="stable")[: need.count]
        np.testing.assert_array_equal(candidates.tokens[: need.count], order)
        np.testing.assert_array_equal(candidates.values[: need.count], row[order])
        assert candidates.sums.keys() == set(need.temperatures)
        for temperature, total in candidates.sums.items():
            exact = np.exp((row.astype(np.float64) - row.max()) / temperature).sum()
            np.testing.assert_allclose(total, exact, rtol=rtol)
        np.testing.assert_array_equal(candidates.whole(), row)


@pytest.mark.parametrize("name", ["llama", "gemma2"])
@pytest.mark.parametrize("together", [1, 4096])
def test_candidates_are_those_of_the_logits(fake, folders, name, together, monkeypatch):
    monkeypatch.setattr(forward_room, "MOST_ROWS", together)
    host = DeviceHost("cuda:0", falls_back=False)
    placed = CachedDecoder(compiled(folders(name), host), settings("fp16"))
    plain = CachedDecoder(compiled(folders(name)), settings("fp16"))
    for cached in (placed, plain):
        found = cached.append_candidates(feeds_of(cached), NEEDS)
        for one, logits, need in zip(found, plain.append(feeds_of(plain)), NEEDS, strict=True):
            check(one, logits, need, 1e-5)
        (nothing,) = cached.append_candidates([(cached.start(), ids(3), 0)], NEEDS[:1])
        assert len(nothing) == 0


def test_on_a_device_that_is_not_the_cpu(other, folders):
    host = DeviceHost(f"{other}:0", falls_back=False)
    placed = CachedDecoder(compiled(folders("llama"), host), settings("fp16"))
    found = placed.append_candidates(feeds_of(placed), NEEDS)
    for one, logits, need in zip(found, placed.append(feeds_of(placed)), NEEDS, strict=True):
        check(one, logits, need, 1e-5)


def test_a_failure_at_any_call_changes_nothing(fake, folders):
    cached = CachedDecoder(compiled(folders("llama"), DeviceHost("cuda:0")), settings("fp16"))

    def candidates(**fault):
        feeds = feeds_of(cached)
        fake.set(**fault)
        found = cached.append_candidates(feeds, NEEDS)
        calls = fake.report()["calls"]
        fake.set()
        for handle, _, _ in feeds:
            cached.close(handle)
        rows = [row for one in found[:-1] for row in one.rows]
        told = [row.tokens for row in rows] + [row.values for row in rows] + [found[-1].reshape(-1)]
        return np.concatenate(told), calls

    candidates()
    expected, calls = candidates()
    for call in range(1, calls + 1):
        np.testing.assert_array_equal(candidates(at=call, status=5)[0], expected)
    np.testing.assert_array_equal(candidates(lost=calls - 2)[0], expected)
    strict = compiled(folders("llama"), DeviceHost("cuda:0", falls_back=False))
    states = np.zeros((1, strict.model.hidden), np.float32)
    one = [[1.0]]
    for temperatures, best, whole in (
        (one, 0, []),
        (one, 257, []),
        ([[0.0]], 3, []),
        ([[np.nan]], 3, []),
        (one * 2, 3, []),
        (one, 3, [1]),
        (one, 3, [-1]),
        (one, 3, [0, 0]),
    ):
        wanted = CandidatesWanted(np.array(temperatures, np.float32), best, np.array(whole, np.int32))
        with pytest.raises(InvalidArgumentError):
            strict.candidates(states, wanted)
    fake.set(lost=1)
    with pytest.raises(DeviceLostError):
        strict.candidates(states, CandidatesWanted(np.ones((1, 1), np.float32), 3, np.zeros(0, np.int32)))


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 1.5, "seed": 3, "top_k": 5},
        {"temperature": 0.7, "seed": 3, "top_k": 40, "top_p": 0.8, "repetition_penalty": 1.2},
        {"temperature": 0.4, "seed": 3, "top_p": 0.9, "logprobs": 3},
        {"temperature": 0.3, "seed": 3, "min_p": 0.3},
        {"repetition_penalty": 1.3},
        {"logit_bias": {5: -100.0}},
        {"logprobs": 2},
    ],
    ids=str,
)
def test_texts_are_those_of_the_cpu(fake, bytes_model, asked, options):
    metrics.logit_rows.reset()
    plain, placed = (ArrowEngine(bytes_model, device=name, threads=2) for name in ("cpu", "cuda"))
    assert texts(placed, count=2, **options) == texts(plain, count=2, **options)
    assert asked["run_candidates"] > 0
    told = {labels[1]: count for labels, count in metrics.logit_rows.values().items()}
    assert told["candidates"] == asked["run_candidates"]


@pytest.mark.parametrize(
    "options",
    [{"top_k": 7, "repetition_penalty": 1.1}, {"top_p": 0.8, "logprobs": 2}, {"min_p": 0.2}],
    ids=str,
)
def test_texts_by_rows_of_the_same_device(other, bytes_model, asked, monkeypatch, options):
    engine = ArrowEngine(bytes_model, device=other, threads=2)
    found = texts(engine, count=1, temperature=0.6, seed=9, **options)
    assert asked["run_candidates"] > asked["run_rows"]
    monkeypatch.setattr(CachedDecoder, "gives_peaks", False)
    before = asked["run_rows"]
    assert texts(engine, count=1, temperature=0.6, seed=9, **options) == found
    assert asked["run_rows"] > before


def test_rows_that_do_not_decide_are_read_and_counted(fake, bytes_model, asked):
    def fallbacks():
        return sum(
            count for labels, count in metrics.fallback_events.values().items() if labels[0] == "sampling"
        )

    before = fallbacks()
    options = {"temperature": 1000.0, "seed": 3, "top_p": 0.99}  # nearly all tokens are equal
    plain, placed = (ArrowEngine(bytes_model, device=name, threads=2) for name in ("cpu", "cuda"))
    assert texts(placed, count=2, **options) == texts(plain, count=2, **options)
    assert fallbacks() > before
    assert asked["run_rows"] > asked["run_candidates"] > 0


def test_a_grammar_takes_candidates_unless_it_allows_none_of_them(fake, bytes_model, asked):
    pytest.importorskip("llguidance", reason="constraints need the extra grammar")
    plain, placed = (ArrowEngine(bytes_model, device=name, threads=2) for name in ("cpu", "cuda"))
    for options in ({}, {"temperature": 1.5, "seed": 3, "top_k": 4}):
        options = {"max_tokens": 12, "regex": "[a-d]{3,9}", **options}
        expected = plain.generate(PROMPTS[0], **options).text
        assert placed.generate(PROMPTS[0], **options).text == expected
    assert asked["run_candidates"] > 2
    assert asked["run_peaks"] == 0


def test_who_needs_rows_brings_none_of_others(fake, bytes_model, asked):
    """Chance over all tokens beside greedy texts and top-k, in the same forwards."""
    options = [{"temperature": 1.2, "seed": 4}, {}, {"temperature": 1.2, "seed": 4, "top_k": 9}]

    def told(engine):
        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(lambda one: texts(engine, count=1, **one), options))

    metrics.logit_rows.reset()
    plain, placed = (ArrowEngine(bytes_model, device=name, threads=2) for name in ("cpu", "cuda"))
    assert told(placed) == told(plain)
    counts = {labels[1]: count for labels, count in metrics.logit_rows.values().items()}
    assert counts["whole"] == 24
    assert sum(counts.values()) == 72


def test_logprobs_are_those_of_the_cpu(fake, bytes_model):
    def told(engine):
        choices = engine.generate("the cat", max_tokens=12, ignore_eos=True, logprobs=4).logprobs
        return [[one.logprob, *(number for _, number in one.top)] for one in choices]

    plain, placed = (ArrowEngine(bytes_model, device=name, threads=2) for name in ("cpu", "cuda"))
    np.testing.assert_allclose(told(placed), told(plain), atol=2e-5)


def test_what_the_cpu_gives_in_its_place():
    rng = np.random.default_rng(1)
    rows = np.round(rng.normal(size=(5, 700)) * 2).astype(np.float32)
    rows[1, 10:] = -np.inf
    rows[2, 5], rows[3], rows[4, 3] = np.nan, -np.inf, np.inf
    whole = np.array([1, 4], np.int32)
    found = candidates_of(rows, CandidatesWanted(np.ones((5, 1), np.float32), 40, whole))
    np.testing.assert_array_equal(found.whole, rows[whole])
    order = np.argsort(-rows, axis=1, kind="stable")[:, :40]
    for row in (0, 1, 3, 4):
        np.testing.assert_array_equal(found.columns[row], order[row])
        np.testing.assert_array_equal(found.values[row], rows[row, order[row]])
    assert np.isnan(found.values[2, 0])
    np.testing.assert_allclose(found.sums[0, 0], np.exp(rows[0].astype(np.float64) - rows[0].max()).sum())
