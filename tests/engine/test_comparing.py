"""What is foretold beside what is measured, and where what was measured of the machine is kept."""

from __future__ import annotations

import json

import pytest
from tests.engine.writers import write_bytes_model

from arrowmind import ArrowEngine
from arrowmind.config import load_config
from arrowmind.engine import measurements
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.planning import Forecast
from arrowmind.engine.rates import Rates
from arrowmind.observe import metrics

ONE_LAYER = {"residency.ram": "64GiB", "residency.max_layers": 1}
RATES = Rates(memory=1e9, disk=1e8, prompt=1e11)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bytes_model(tmp_path_factory.mktemp("models") / "bytes")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "arrowmind" / "machine.json"


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setattr("arrowmind.engine.overseeing.known_rates", lambda *_: RATES)


def test_a_text_alone_is_compared(folder, known, caplog):
    caplog.set_level("INFO", "arrowmind")
    engine = ArrowEngine(folder, config=load_config(env={}, overrides=ONE_LAYER))
    assert engine.comparison is None
    found = engine.generate("the cat", max_tokens=6, ignore_eos=True)
    compared = engine.comparison
    assert compared.tokens_per_second == found.timings.tokens_per_second
    assert compared.first_seconds == found.timings.first_token_seconds
    assert compared.foretold_tokens_per_second > 0
    assert "foretold and measured" in caplog.text
    name = (folder.name,)
    assert metrics.tokens_per_second.values()[name] == compared.tokens_per_second
    assert metrics.foretold_tokens_per_second.values()[name] == compared.foretold_tokens_per_second
    assert metrics.last_first_token_seconds.values()[name] == compared.first_seconds
    assert metrics.foretold_first_token_seconds.values()[name] == compared.foretold_first_seconds
    engine.generate(["the cat", "a dog"], max_tokens=3, ignore_eos=True)
    assert engine.comparison is compared  # these shared the machine
    assert "foretold" in str(compared)
    engine.close()


def test_without_a_budget_or_a_measurement_nothing_is_foretold(folder, cache):
    engine = ArrowEngine(folder)
    engine.generate("x", max_tokens=2)
    assert engine.comparison is None
    engine.close()
    engine = ArrowEngine(folder, ram="64GiB")
    engine.generate("x", max_tokens=2)
    assert engine.comparison is None
    engine.close()


def test_a_first_text_waits_for_more_than_a_later_one(folder):
    config = load_config(env={}, overrides={**ONE_LAYER, "residency.max_layers": 2})
    forecast = Forecast(ModelFolder(folder), config, 64 << 30, RATES)
    plan = forecast.plan()
    assert plan.parts > 1
    assert forecast.first_seconds(128, is_first=True) == plan.first_seconds
    assert forecast.first_seconds(128, is_first=False) < plan.first_seconds
    slow = Forecast(ModelFolder(folder), config, 64 << 30, Rates(memory=1e9, disk=1e12, prompt=1e6))
    assert slow.first_seconds(64, is_first=True) == pytest.approx(64 * plan.active / 1e6)
    assert slow.first_seconds(128, is_first=True) == pytest.approx(2 * slow.first_seconds(64, is_first=True))


def test_what_was_measured_is_kept(folder, cache):
    weights = folder / "weights.arrow"
    assert measurements.known_rates(weights, 1) is None
    measurements.ensure_rates(weights, 1)
    found = measurements.known_rates(weights, 1)
    assert found.memory > 1e8
    assert found.prompt > found.memory
    assert found.disk > 0
    assert measurements.known_rates(weights, 2) is None
    stored = json.loads(cache.read_text())
    assert len(stored) == 1


@pytest.mark.parametrize("text", ["", "[]", "{", '{"memory": 1}', "\xff"])
def test_a_damaged_file_counts_for_nothing(folder, cache, text):
    cache.parent.mkdir()
    cache.write_bytes(text.encode("latin-1"))
    assert measurements.known_rates(folder / "weights.arrow", 1) is None


def test_numbers_that_cannot_be_count_for_nothing(folder, cache):
    weights = folder / "weights.arrow"
    for value in (0, -1, "x", None):
        cache.parent.mkdir(exist_ok=True)
        rates = {"memory": 1e9, "disk": value, "prompt": 1e9}
        cache.write_text(json.dumps({measurements._key(weights, 1): rates}))
        assert measurements.known_rates(weights, 1) is None


def test_a_measurement_that_fails_is_logged(folder, cache, monkeypatch, caplog):
    monkeypatch.setattr(measurements.sys, "executable", "/nothing/python")
    measurements.ensure_rates(folder / "weights.arrow", 1)
    assert "nothing is foretold" in caplog.text
    assert not cache.exists()
