"""What profiles and their keys change of how a language model runs, and that they change no token."""

from __future__ import annotations

import pytest
from tests.engine.writers import write_bytes_model

from arrowmind import ArrowEngine
from arrowmind.config import PROFILES, load_config
from arrowmind.engine.language import LanguageModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bytes_model(tmp_path_factory.mktemp("models") / "bytes")


@pytest.fixture
def runs(monkeypatch):
    """Tokens of each sequence, of each run of the model."""
    found = []

    def counting(run):
        def counted(self, cache, sequences, tokens, *counts):
            found.append([len(ids) for ids in tokens])
            return run(self, cache, sequences, tokens, *counts)

        return counted

    for name in ("run_cached", "step"):
        monkeypatch.setattr(LanguageModel, name, counting(getattr(LanguageModel, name)))
    return found


def texts(folder, max_tokens=5, **keys):
    overrides = {key.replace("__", "."): value for key, value in keys.items()}
    engine = ArrowEngine(folder, config=load_config(env={}, overrides=overrides))
    prompts = [f"{word} the cat sat on the mat and looked" for word in ("a", "b", "c", "d", "e", "f")]
    try:
        found = engine.generate(prompts, max_tokens=max_tokens, ignore_eos=True)
        return [one.token_ids for one in found]
    finally:
        engine.close()


def test_no_profile_changes_a_token(folder):
    assert len({str(texts(folder, residency__profile=name)) for name in PROFILES}) == 1


def test_a_profile_bounds_who_runs_together(folder, runs):
    # So long that the first text is still being written when the last one comes.
    texts(folder, 40, residency__profile="low_latency", generation__cache_tokens=2000)
    assert max(map(len, runs)) == 4
    runs.clear()
    texts(folder, 40, residency__profile="high_throughput", generation__cache_tokens=2000)
    assert max(map(len, runs)) == 6


def test_a_run_of_the_model_reads_no_more_than_the_chunk(folder, runs):
    texts(folder, generation__prefill_chunk=16)
    assert max(map(sum, runs)) <= 16
    runs.clear()
    texts(folder)
    assert max(map(sum, runs)) > 16


def test_longer_runs_read_the_model_less_often(folder):
    misses = {}
    for chunk in (16, 512):
        keys = {"residency.ram": "64GiB", "residency.max_layers": 1, "generation.prefill_chunk": chunk}
        engine = ArrowEngine(folder, config=load_config(env={}, overrides=keys))
        engine.generate("the cat sat on the mat and looked at the dog " * 2, max_tokens=1)
        counters = engine.residency()
        misses[chunk] = counters["misses"] + counters["late"]
        engine.close()
    assert misses[16] >= 3 * misses[512]
