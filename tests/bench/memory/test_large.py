"""A great many memories, here few: what is built, built further, and measured."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.memory.fake_encoder import FakeEncoder

import arrowmind
from arrowmind.bench import main
from arrowmind.bench.memory import building, crowd, large
from arrowmind.bench.memory.building import build
from arrowmind.bench.memory.crowd import Crowd
from arrowmind.errors import ConfigurationError
from arrowmind.memory import MemoryStore
from arrowmind.observe import no_progress


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of a hundred memories, of three hundred paragraphs."""
    for module in (crowd, building, large):
        monkeypatch.setattr(module, "CHUNK", 100)
    paragraphs = crowd.library_paragraphs()[:300]
    monkeypatch.setattr(crowd, "library_paragraphs", lambda: paragraphs)


def test_what_is_measured(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(arrowmind, "ArrowEngine", lambda _folder: FakeEncoder())
    words = ["--large", "350", "--model", "m", "--cache", str(tmp_path), "--out", str(tmp_path / "a.json")]
    code = main(["memory", *words, "--check"])
    result = json.loads((tmp_path / "a.json").read_text())
    measured = result["large"]
    assert measured["memories"] == 350
    assert measured["recall10"] >= 0.99
    assert measured["insert"]["visible"]
    assert set(measured["legs"]) == {"encode", "vectors", "words"}
    assert measured["recall"]["p99_ms"] > 0
    printed = capsys.readouterr().out
    assert "350 memories of text, 16 links each" in printed
    assert "whole recall, p50, of 350" in printed
    assert len(result["targets"]) == 9
    assert code == int(not all(target["reached"] for target in result["targets"]))
    # What is there is not built again.
    assert main(["memory", *words]) == 0
    again = json.loads((tmp_path / "a.json").read_text())["large"]
    assert again["rows_per_second"] == measured["rows_per_second"]


def test_a_store_that_was_cut_off_is_built_further(tmp_path):
    encoder = FakeEncoder()
    people = Crowd.of(encoder, tmp_path, no_progress)
    for count in (130, 250):
        assert build(tmp_path / "parts", people, encoder, count, no_progress) > 0
    build(tmp_path / "whole", people, encoder, 250, no_progress)
    with MemoryStore(tmp_path / "parts") as parts, MemoryStore(tmp_path / "whole") as whole:
        for id_ in (1, 130, 131, 250):
            assert parts.get(id_).text == whole.get(id_).text
            assert parts.get(id_).timestamp == whole.get(id_).timestamp
            assert parts.links(id_)
    with pytest.raises(ConfigurationError, match="holds 250 memories, not 100"):
        build(tmp_path / "parts", people, encoder, 100, no_progress)


def test_the_same_memories_on_every_run(tmp_path):
    people = Crowd.of(FakeEncoder(), tmp_path, no_progress)
    texts, vectors, moments = people.chunk(3)
    again = people.chunk(3)
    assert (texts, moments) == (again[0], again[2])
    assert np.array_equal(vectors, again[1])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    kept = Crowd.of(FakeEncoder(), tmp_path, no_progress)
    assert np.array_equal(kept.chunk(3)[1], vectors)
    assert texts != people.chunk(4)[0]
    assert not set(people.queries) & set(people.texts)
