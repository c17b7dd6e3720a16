from __future__ import annotations

import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from arrowmind.errors import InvalidArgumentError
from arrowmind.observe import metrics, no_progress, render_metrics


def samples():
    families = text_string_to_metric_families(render_metrics())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_metric_is_rendered_from_the_start():
    found = samples()
    for metric in metrics.all_metrics():
        if not metric.labels:
            name = metric.name + ("_count" if metric.kind == "histogram" else "")
            assert found[name, ()] == 0


def test_counter_gauge_and_histogram():
    metrics.sentences.add(3)
    metrics.sentences.add(2)
    metrics.memories.set(7, store="a")
    metrics.fallback_events.add(what="device", reason='quoted "and"\nbroken')
    for value in (0.0001, 0.0005, 0.0006, 1e9):
        metrics.encode_seconds.observe(value)
    found = samples()
    assert found["arrowmind_sentences_total", ()] == 5
    assert found["arrowmind_memories", (("store", "a"),)] == 7
    labels = (("reason", 'quoted "and"\nbroken'), ("what", "device"))
    assert found["arrowmind_fallback_events_total", labels] == 1
    name = "arrowmind_encode_seconds_bucket"
    buckets = {key[1][0][1]: value for key, value in found.items() if key[0] == name}
    assert buckets["0.0005"] == 2
    assert buckets["0.001"] == 3
    assert buckets["+Inf"] == found["arrowmind_encode_seconds_count", ()] == 4


def test_time_counts_failures_too():
    with pytest.raises(RuntimeError), metrics.recall_seconds.time():
        raise RuntimeError
    assert samples()["arrowmind_recall_seconds_count", ()] == 1


def test_misuse():
    with pytest.raises(InvalidArgumentError, match="only grows"):
        metrics.sentences.add(-1)
    with pytest.raises(InvalidArgumentError, match="labels"):
        metrics.sentences.add(1, what="x")
    with pytest.raises(InvalidArgumentError, match="labels"):
        metrics.fallback_events.add(what="x")


def test_series_are_bounded():
    for number in range(1000):
        metrics.fallback_events.add(what="x", reason=str(number))
    values = metrics.fallback_events.values()
    assert len(values) <= 257
    assert sum(values.values()) == 1000
    assert values["other", "other"] > 0


def test_counting_from_many_threads_loses_nothing():
    def work():
        for _ in range(2000):
            metrics.tokens.add(2)
            metrics.encode_seconds.observe(0.01)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.tokens.values() == {(): 16000}
    [(counts, total)] = metrics.encode_seconds.values().values()
    assert sum(counts) == 8000
    assert total == pytest.approx(80)


def test_no_progress_takes_what_progress_takes():
    assert no_progress(1, 2, "rows") is None
