"""Samples to summaries, and summaries to text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowmind.errors import InvalidArgumentError
from arrowmind.monitor import parse_metrics, summarise
from arrowmind.monitor.samples import Sample
from arrowmind.monitor.tables import bar, bytes_text, rows_of
from tests.monitor.conftest import metrics_text


def test_everything_is_told():
    before = parse_metrics(metrics_text(), 10.0)
    now = parse_metrics(metrics_text(tokens=130, hits=80, read=3 << 20), 12.0)
    found = summarise(now, before)
    assert (found.memory, found.available) == (9000, 70_000)
    assert (found.requests, found.errors, found.requests_per_second) == (10, 1, 0.0)
    assert (found.latency_p50, found.latency_p95) == (0.1, 0.2)
    assert found.fallbacks == {"device: not there": 2}
    (model,) = found.models
    assert model.name == "m"
    assert model.memory == {"base": 1000, "experts": 3000}
    assert (model.budget, model.parts_budget) == (8000, 5000)
    assert (model.parts_kind, model.parts, model.resident_parts) == ("experts", 24, 7)
    assert model.tokens_per_second == 15.0
    assert (model.last_tokens_per_second, model.foretold_tokens_per_second) == (9.5, 10.0)
    assert (model.first_token_seconds, model.foretold_first_token_seconds) == (0.5, 0.25)
    assert model.hit_rate == 1.0  # 30 uses since, all of them there
    assert model.prefetch_use == 0.75
    assert model.disk_bytes_per_second == 1 << 20
    assert model.stalled == 0.0
    assert (model.evictions, model.streams, model.waiting, model.preemptions) == (33, 2, 3, 0)
    assert model.cache_free_tokens == 500
    assert model.pressure == {"given_back": 4}
    json.dumps(found.to_dict(), allow_nan=False)


def test_one_sample_has_no_rates():
    (model,) = summarise(parse_metrics(metrics_text(), 1.0)).models
    assert model.tokens_per_second is None
    assert model.hit_rate == 0.6  # of all so far


def test_a_server_that_began_anew_has_none_either():
    before, now = parse_metrics(metrics_text(tokens=100), 1.0), parse_metrics(metrics_text(tokens=5), 2.0)
    (model,) = summarise(now, before).models
    assert model.tokens_per_second is None


def test_nothing_is_a_summary_too():
    found = summarise(Sample(1.0))
    assert found.models == ()
    assert dict(rows_of(found))["fallbacks"] == "none"


def test_rows_tell_of_all():
    before = parse_metrics(metrics_text(), 10.0)
    found = summarise(parse_metrics(metrics_text(tokens=130), 12.0), before)
    text = "\n".join(f"{what} {how}" for what, how in rows_of(found))
    for part in (
        "process memory 8.8 KiB",
        "device: not there x2",
        "experts #########............... 2.9 KiB",
        "3.9 KiB of 7.8 KiB",
        "15.0 now, 9.5 of the last text, 10.0 foretold",
        "2 running, 3 waiting",
        "7 of 24 there",
        "33 gave way",
        "given_back x4",
    ):
        assert part in text, text


def test_devices_are_told():
    sizes = {"total": 4096, "free": 1024, "weights": 1024, "buffers": 512, "caches": 512}
    lines = [
        f'arrowmind_device_memory_bytes{{device="cuda:0",what="{what}"}} {n}' for what, n in sizes.items()
    ]
    lines += [
        'arrowmind_device_serves{device="cuda:0"} 0',
        'arrowmind_device_forwards_total{device="cuda:0",where="cpu"} 3',
        'arrowmind_device_blocks{device="cuda:0",where="device"} 7',
        'arrowmind_device_blocks{device="cuda:0",where="cpu"} 5',
        'arrowmind_device_sent_bytes{device="cuda:0",what="prompts"} 2048',
        'arrowmind_device_experts{device="cuda:0",what="hits"} 30',
        'arrowmind_device_experts{device="cuda:0",what="misses"} 10',
        'arrowmind_device_experts{device="cuda:0",what="brought"} 6',
        'arrowmind_device_experts{device="cuda:0",what="evicted"} 2',
    ]
    found = summarise(parse_metrics("\n".join([*lines, ""]), 1.0))
    (device,) = found.devices
    assert (device.name, device.serves, device.total, device.forwards_on_cpu) == ("cuda:0", False, 4096, 3)
    assert device.memory == {"weights": 1024, "buffers": 512, "caches": 512, "others": 1024}
    rows = dict(rows_of(found))
    assert rows["device cuda:0"] == "the CPU serves in its place"
    assert rows["  caches"].endswith("512 B")
    assert rows["  together"].endswith("3.0 KiB of 4.0 KiB")
    assert rows["  forwards"] == "0, and 3 on the CPU"
    assert rows["  blocks"] == "7, and 5 on the CPU"
    assert rows["  sent"] == "2.0 KiB for prompts"
    assert rows["  experts"] == "30 of 40 there; 6 brought, 2 gave way"
    json.dumps(found.to_dict(), allow_nan=False)


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused(text):
    try:
        sample = parse_metrics(text, 1.0)
    except InvalidArgumentError as error:
        assert "Prometheus" in str(error)
    else:
        list(rows_of(summarise(sample)))


def test_numbers_that_are_none_do_no_harm():
    text = 'arrowmind_memory_budget_bytes{model="m"} NaN\narrowmind_streams{model="m"} 1\n'
    assert summarise(parse_metrics(text, 1.0)).models[0].budget is None


def test_too_many_series_are_refused(monkeypatch):
    monkeypatch.setattr("arrowmind.monitor.samples._MOST", 10)
    with pytest.raises(InvalidArgumentError, match="more than 10"):
        parse_metrics(metrics_text(), 1.0)


def test_bars_and_sizes():
    assert bar(0, 0) == "." * 24
    assert bar(5, 4) == "#" * 24
    assert bar(1, 2) == "#" * 12 + "." * 12
    assert [bytes_text(size) for size in (5, 2048, 200 << 20, 3 << 30)] == [
        "5 B",
        "2.0 KiB",
        "200 MiB",
        "3.0 GiB",
    ]
