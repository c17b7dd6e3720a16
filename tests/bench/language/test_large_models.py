"""What `benchmarks/bench_larger_than_memory.py` gives llama.cpp is the model that ours is measured on."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from benchmarks import bench_larger_than_memory as benchmark
from benchmarks.large_gguf import write_large_gguf

from arrowmind import ArrowEngine
from arrowmind.bench.statistics import cosines
from arrowmind.weights import open_weights

SIZES = {
    "hidden_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "num_hidden_layers": 2,
    "intermediate_size": 256,
    "vocab_size": 32_000,
}
EXPERTS = {
    "experts": {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 64},
    "few-experts": {"num_local_experts": 4},
    "dense": {},
}


@pytest.fixture(params=sorted(EXPERTS))
def models(request, tmp_path, monkeypatch):
    """A small model of a shape, and the same as GGUF."""
    shape = request.param
    monkeypatch.setitem(benchmark.SHAPES, shape, {**benchmark.SHAPES[shape], **SIZES, **EXPERTS[shape]})
    folder = tmp_path / shape
    benchmark.make(folder, shape)
    write_large_gguf(folder, folder / "model.gguf")
    return folder


def test_every_tensor_is_the_same_but_for_rounded_scales(models):
    ours, theirs = open_weights(models), open_weights(models / "model.gguf")
    renamed = {"block_sparse_moe": "mlp", ".w1.": ".gate_proj.", ".w3.": ".up_proj.", ".w2.": ".down_proj."}
    assert len(ours.names()) == len(theirs.names())
    for name in ours.names():
        found = name
        if not theirs.has(name):
            for old, new in renamed.items():
                found = found.replace(old, new)
        np.testing.assert_allclose(theirs.real_values(found), ours.real_values(name), rtol=2**-10)
    for key in ("hidden_size", "num_hidden_layers", "num_experts_per_tok", "rope_theta", "head_dim"):
        if key in ours.model:
            assert theirs.model[key] == ours.model[key]


def test_llama_cpp_gives_the_same_logits(models):
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed; `make bench-llm` installs it")
    session = importlib.import_module("arrowmind.bench.language.llama_session").LlamaSession
    ids = [5, 6, 7, 100, 2000]
    wanted = ArrowEngine(models, judge=False).logits(ids)[-1]
    found = session(models / "model.gguf", 1, context=512).feed(ids)
    assert cosines(found[None], wanted[None])[0] > 0.999


def test_figures_and_verdicts():
    ours = {
        "seconds": 10.0,
        "tokens": 20,
        "disk": 1e9,
        "counters": {"bytes_read": 10e9, "bytes_wasted": 1e9},
        "peak_rss": 2e9,
        "opened": 1.0,
        "first_seconds": 1.2,
        "first_bytes": 1e9,
        "first": 5,
        "foretold": 0.6,
    }
    theirs = {"seconds": 40.0, "tokens": 10, "read": 3e10, "first_seconds": 9.0, "first": 5}
    rounds = {"ours": [ours] * 2, "peer": [theirs] * 2}
    figures = benchmark.summary(rounds)
    assert figures["tokens per second"] == pytest.approx(2)
    assert figures["share of the limit"] == pytest.approx(0.9)
    assert figures["first token by its bytes"] == pytest.approx(1.2)
    assert figures["by llama.cpp"] == pytest.approx(8)
    said = benchmark.verdicts(figures, "experts", rounds)
    assert [line.split()[0] for line in said] == ["pass"] * 5
    said = benchmark.verdicts({**figures, "by llama.cpp": 7.9}, "experts", rounds)
    assert "FAIL  7.90 x llama.cpp (>= 8.0)" in said
    assert len(benchmark.verdicts(figures, "dense", {"ours": [ours], "peer": []})) == 3
