"""The plan executor against BERT in float64, and its promises: same bits for any batch, threads and split."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
from tests.reference import bert

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError, WeightError

HEADS = 3
SEED = 7


def _tensor(weights, key, activation):
    matrix, bias = weights[f"{key}.weight"], weights[f"{key}.bias"]
    n_out = matrix.shape[0]
    if activation == "fp32":
        described = {
            "type": "fp32",
            "codes": _native.qmatmul_pack("fp32", matrix),
            "scales": None,
            "sums": None,
        }
    else:
        pad = -n_out % 16
        scales = np.abs(matrix).max(axis=1) / 127
        codes = np.rint(matrix / scales[:, None]).astype(np.int8)
        described = {
            "type": "int8",
            "codes": _native.qmatmul_pack("int8", codes),
            "scales": np.pad(scales, (0, pad)).astype(np.float32),
            "sums": np.pad(codes.sum(axis=1, dtype=np.int32), (0, pad)),
        }
    return {**described, "shape": matrix.shape, "zero_points": None, "bias": bias}


def _table(weights, key):
    matrix = weights[key]
    return {
        "type": "fp32",
        "shape": matrix.shape,
        "codes": matrix.reshape(-1).view(np.uint8),
        "scales": None,
        "zero_points": None,
    }


def build(weights, activation="fp32", pooling="mean"):
    described = bert.config(weights, HEADS)
    hidden, inner = described["hidden_size"], described["intermediate_size"]
    plan = _native.Plan(described["vocab_size"], described["max_position_embeddings"], hidden)
    stream = plan.buffer("fp32", hidden)

    def codes_of(buffer):
        if activation == "fp32":
            return buffer
        codes = plan.buffer(activation, plan.columns(buffer))
        plan.quantise(buffer, codes)
        return codes

    def norm(key):
        plan.layer_norm(stream, stream, weights[f"{key}.weight"], weights[f"{key}.bias"], 1e-12)

    plan.embed(
        stream,
        _table(weights, "embeddings.word_embeddings.weight"),
        _table(weights, "embeddings.position_embeddings.weight"),
        _table(weights, "embeddings.token_type_embeddings.weight"),
    )
    norm("embeddings.LayerNorm")
    for layer in range(described["num_hidden_layers"]):
        key = f"encoder.layer.{layer}."
        joined, context, wide = (
            plan.buffer("fp32", 3 * hidden),
            plan.buffer("fp32", hidden),
            plan.buffer("fp32", inner),
        )
        parts = [
            _tensor(weights, f"{key}attention.self.{part}", activation) for part in ("query", "key", "value")
        ]
        plan.linear(parts, codes_of(stream), joined)
        plan.attention(joined, context, HEADS)
        plan.linear(
            [_tensor(weights, f"{key}attention.output.dense", activation)],
            codes_of(context),
            stream,
            residual=stream,
        )
        norm(f"{key}attention.output.LayerNorm")
        plan.linear(
            [_tensor(weights, f"{key}intermediate.dense", activation)], codes_of(stream), wide, gelu=True
        )
        plan.linear(
            [_tensor(weights, f"{key}output.dense", activation)], codes_of(wide), stream, residual=stream
        )
        norm(f"{key}output.LayerNorm")
    plan.pool(stream, pooling)
    plan.finish()
    return plan


def sequences(count, longest, vocabulary, seed=SEED):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, vocabulary, rng.integers(1, longest + 1)).astype(np.int32) for _ in range(count)]


def run(plan, batch, threads=1, normalise=True, micro_tokens=128):
    offsets = np.cumsum([0, *map(len, batch)]).astype(np.int32)
    ids = np.concatenate(batch) if batch else np.empty(0, np.int32)
    return plan.run(ids, offsets, _native.ThreadPool(threads), normalise, micro_tokens)


@pytest.fixture(scope="module")
def weights():
    return bert.tiny_weights(SEED)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("normalise", [True, False])
def test_fp32_matches_float64(weights, pooling, normalise):
    batch = sequences(9, 40, 61)
    expected = np.stack(
        [bert.embed(weights, ids, HEADS, normalise=normalise, pooling=pooling) for ids in batch]
    )
    actual = run(build(weights, pooling=pooling), batch, normalise=normalise)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=3e-5 * np.abs(expected).max())


@pytest.mark.parametrize("activation", ["int16", "int8"])
def test_quantised_is_near_float64(weights, activation):
    batch = sequences(9, 40, 61)
    expected = np.stack([bert.embed(weights, ids, HEADS) for ids in batch])
    cosine = (run(build(weights, activation), batch) * expected).sum(axis=1)
    assert cosine.min() > {"int16": 0.999, "int8": 0.99}[activation]


@pytest.mark.parametrize("activation", ["fp32", "int16", "int8"])
def test_same_bits_for_any_batch_threads_and_split(weights, activation):
    plan = build(weights, activation)
    batch = sequences(23, 40, 61)
    alone = np.concatenate([run(plan, [ids]) for ids in batch])
    for threads in (1, 2, 3):
        for micro_tokens in (1, 40, 200, 10_000):
            np.testing.assert_array_equal(run(plan, batch, threads, micro_tokens=micro_tokens), alone)
    order = np.random.default_rng(SEED).permutation(len(batch))
    np.testing.assert_array_equal(run(plan, [batch[i] for i in order], 2), alone[order])


@pytest.mark.parametrize("activation", ["fp32", "int16", "int8"])
def test_same_bits_on_every_isa(weights, activation, monkeypatch):
    batch = sequences(7, 40, 61)
    results = {}
    for isa in [row["name"] for row in _native.isas() if row["detected"]]:
        monkeypatch.setenv("ARROWMIND_MAX_ISA", isa)
        _native.reload_environment()
        results[isa] = run(build(weights, activation), batch)
    monkeypatch.delenv("ARROWMIND_MAX_ISA")
    _native.reload_environment()
    for isa, result in results.items():
        np.testing.assert_array_equal(result, results["scalar"], err_msg=isa)


def test_concurrent_runs_share_one_plan(weights):
    plan = build(weights, "int16")
    batches = [sequences(11, 40, 61, seed) for seed in range(6)]
    expected = [run(plan, batch) for batch in batches]
    pool = _native.ThreadPool(2)
    found = [None] * len(batches)

    def work(index):
        offsets = np.cumsum([0, *map(len, batches[index])]).astype(np.int32)
        for _ in range(5):
            found[index] = plan.run(np.concatenate(batches[index]), offsets, pool, True, 64)

    workers = [threading.Thread(target=work, args=(index,)) for index in range(len(batches))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for actual, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_runs_in_a_forked_child(weights):
    plan, pool = build(weights, "int16"), _native.ThreadPool(2)
    batch = sequences(30, 40, 61)
    offsets = np.cumsum([0, *map(len, batch)]).astype(np.int32)
    expected = plan.run(np.concatenate(batch), offsets, pool, True, 64)
    child = os.fork()
    if child == 0:
        again = plan.run(np.concatenate(batch), offsets, pool, True, 64)
        os._exit(0 if np.array_equal(again, expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_no_sequences_give_no_rows(weights):
    assert run(build(weights), []).shape == (0, 48)


@pytest.mark.parametrize(
    ("ids", "offsets", "what"),
    [
        ([1, 2, 3], [0, 2], "offsets must run"),
        ([1, 2, 3], [1, 3], "offsets must run"),
        ([1, 2, 3], [0, 2, 2, 3], "1 to 40 tokens"),
        ([1, 2, 3], [0, 3, 2, 3], "1 to 40 tokens"),
        ([1, 61, 3], [0, 3], "outside the vocabulary"),
        ([1, -1, 3], [0, 3], "outside the vocabulary"),
        ([1] * 41, [0, 41], "1 to 40 tokens"),
        ([], [], "offsets is empty"),
    ],
)
def test_bad_batches_are_refused(weights, ids, offsets, what):
    plan = build(weights)
    with pytest.raises(InvalidArgumentError, match=what):
        plan.run(np.array(ids, np.int32), np.array(offsets, np.int32), _native.ThreadPool(1), True, 128)


def test_offsets_that_leave_the_tokens_are_refused_before_they_are_read(weights):
    """Offsets are checked in order; a sequence may not start past the end though the last is right."""
    plan = build(weights)
    offsets = np.array([0, 2**31 - 1, 3], np.int32)
    with pytest.raises(InvalidArgumentError, match="1 to 40 tokens"):
        plan.run(np.array([1, 2, 3], np.int32), offsets, _native.ThreadPool(1), True, 128)


def test_shapes_that_do_not_fit_are_refused(weights):
    plan = _native.Plan(61, 40, 48)
    stream, wide = plan.buffer("fp32", 48), plan.buffer("fp32", 81)
    layer = _tensor(weights, "encoder.layer.0.intermediate.dense", "fp32")
    with pytest.raises(InvalidArgumentError, match="linear output"):
        plan.linear([layer], stream, wide)
    with pytest.raises(WeightError, match="meets an input of 81 columns"):
        plan.linear([layer], wide, stream)
    with pytest.raises(WeightError, match="codes holds 8 values"):
        plan.linear([{**layer, "codes": np.zeros(8, np.uint8)}], stream, plan.buffer("fp32", 80))
    with pytest.raises(InvalidArgumentError, match="heads do not divide"):
        plan.attention(plan.buffer("fp32", 144), stream, 5)


@pytest.mark.parametrize(
    ("eight", "wanted"),
    [
        ([], {"avx2": "_i8f_", "avx512": "_i8p_"}),
        ([64, -127, 0, 1, 64, 0, 0, -127], {"avx2": "_i8f_", "avx512": "_i8p_"}),
        ([64, 0, 0, 0, 65, 0, 0, 0], {"avx2": "_i8p_", "avx512": "_i8p_"}),
        ([0, 0, 0, -64, 0, 0, -65, 0], {"avx2": "_i8p_", "avx512": "_i8p_"}),
        ([0, 0, 65, 64, 0, 0, 0, 0], {}),
        ([0, 0, 0, 0, -64, -65, 0, 0], {}),
    ],
)
@pytest.mark.parametrize("isa", [isa["name"] for isa in _native.isas() if isa["enabled"]])
def test_codes_that_are_bound_find_their_kernels(monkeypatch, isa, eight, wanted):
    """Where codes bound together are faster a matrix that has them is multiplied so, and no other."""
    monkeypatch.setenv("ARROWMIND_MAX_ISA", isa)
    _native.reload_environment()
    try:
        rng = np.random.default_rng(7)
        codes = rng.integers(-32, 33, (16, 16)).astype(np.int8)
        codes[3, 8 : 8 + len(eight)] = eight
        layer = {
            "type": "int8",
            "codes": _native.qmatmul_pack("int8", codes),
            "scales": np.ones(16, np.float32),
            "sums": codes.sum(axis=1, dtype=np.int32),
            "shape": codes.shape,
            "zero_points": None,
            "bias": None,
        }
        plan = _native.Plan(10, 10, 16)
        plan.linear([layer], plan.buffer("int8", 16), plan.buffer("fp32", 16))
        kernels = [name for name in plan.kernels() if name.startswith("qmatmul")]
        assert kernels
        assert all(wanted.get(isa, "_i8_") in name for name in kernels)
    finally:
        monkeypatch.undo()
        _native.reload_environment()
