"""Training through the quantiser: gradients, the torch forward, resuming, and what it gains."""

from __future__ import annotations

import numpy as np
import pytest
from tests.reference import bert, folder, tokenizer

from arrowmind.engine import ArrowEngine
from arrowmind.engine.moments import MomentObserver
from arrowmind.errors import QuantizationError
from arrowmind.observe import no_progress
from arrowmind.quantize import QuantizationConfig, storing
from arrowmind.quantize.distill.batches import Batches
from arrowmind.quantize.matrix.codes import codes_of
from arrowmind.quantize.matrix.feedback import round_plainly
from arrowmind.quantize.methods import distill, gptq
from arrowmind.quantize.methods.base import Job
from arrowmind.quantize.overlay import Overlay
from arrowmind.weights import convert_model, open_weights
from arrowmind.weights.formats import Grid

TEXTS = [
    "the cat sat on the mat.",
    "a dog",
    "the dog ran far away, and back!",
    "cat dog mat the a back far ran",
]
GRIDS = [
    Grid("int2", 16, "u8", zero_points=True),
    Grid("int2", 16, "u8"),
    Grid("int4", 16, "fp16", zero_points=True),
    Grid("fp4", 16, "e4m3"),
    Grid("fp4", 32, "e8m0"),
]


def codes(grid, seed, n=6, k=40):
    matrix = np.random.default_rng(seed).standard_normal((n, k)).astype(np.float32)
    k -= k % grid.group_size
    matrix = np.ascontiguousarray(matrix[:, :k])
    return matrix, codes_of(round_plainly(np.ascontiguousarray(matrix.T), grid, np.ones(k, np.float32)))


def test_batches_follow_from_seed_and_step():
    def tokenise(texts):
        return [[len(word) + 10 * ord(word[0]) for word in text.split()] for text in texts]

    def batches(seed):
        return Batches(TEXTS, tokenise, size=3, vocabulary=1300, seed=seed)

    one, other = batches(5), batches(5)
    in_order = [one[step] for step in range(20)]
    assert other[17] == in_order[17]
    assert other[2] == in_order[2]
    reseeded = batches(6)
    assert [reseeded[step] for step in range(20)] != in_order


def test_some_tokens_of_every_second_piece_are_any_of_the_vocabulary():
    # Texts of fours; what is no four was put there. First and last tokens are special.
    batches = Batches(
        ["four " * 60], lambda texts: [[4] * 62 for _ in texts], size=20, vocabulary=1000, seed=0
    )
    pieces = [piece for step in range(16) for piece in batches[step]]
    disturbed = [piece for piece in pieces if set(piece) != {4}]
    assert 0.4 < len(disturbed) / len(pieces) < 0.6
    share = sum(token != 4 for piece in disturbed for token in piece) / (60 * len(disturbed))
    assert share == pytest.approx(0.15, abs=0.02)
    assert all(piece[0] == piece[-1] == 4 and max(piece) < 1000 for piece in pieces)


def test_without_torch_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(distill.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(QuantizationError, match=r"arrowmind\[train\]"):
        distill.run(Job(None, QuantizationConfig(quant_type="int2", calibration="distill"), {}))


@pytest.mark.torch
@pytest.mark.parametrize("margin", [0.0, 0.2])
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_training_starts_from_its_codes(grid, margin, seed):
    pytest.importorskip("torch")
    from arrowmind.quantize.distill.latent import LatentMatrix

    matrix, made = codes(grid, seed)
    latent = LatentMatrix(made, matrix, margin=margin)
    np.testing.assert_array_equal(latent.codes().values(), made.values())
    np.testing.assert_allclose(latent.weight().detach().numpy(), made.values(), rtol=1e-5, atol=1e-6)


@pytest.mark.torch
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_codes_that_hold_are_what_the_forward_saw_and_go_on_from_their_state(grid, seed):
    """Values go to and fro: codes follow late, the same in forward, codes and a matrix that goes on."""
    torch = pytest.importorskip("torch")
    from tests.quantize.holding import assert_goes_on, changes_to_and_fro

    from arrowmind.quantize.distill.latent import LatentMatrix

    matrix, made = codes(grid, seed)
    held, free, went_on = (LatentMatrix(made, matrix, margin=margin) for margin in (0.3, 0.0, 0.3))
    chance = torch.Generator().manual_seed(seed)
    steps = 0.4 * torch.randn(12, *held.values.shape, generator=chance) * torch.exp(held.log_scales.detach())
    late, at_once = changes_to_and_fro([held, free], list(steps))
    uniform = grid.quant_type != "fp4"
    assert late < 0.8 * at_once if uniform else late == at_once
    assert ("held" in held.state()) == uniform
    assert_goes_on(held, went_on)


@pytest.mark.torch
def test_gradients_are_those_of_the_grid_without_rounding(seed):
    torch = pytest.importorskip("torch")
    from arrowmind.quantize.distill.latent import LatentMatrix

    matrix, made = codes(GRIDS[0], seed)
    latent = LatentMatrix(made, matrix)
    with torch.no_grad():
        latent.values[0, 0, :2] += 10.0  # beyond the last code
    factors = torch.from_numpy(np.random.default_rng(seed).standard_normal(matrix.shape).astype(np.float32))
    (latent.weight() * factors).sum().backward()
    inside = latent.values.grad.reshape(matrix.shape) != 0
    assert not inside[0, :2].any()
    assert inside[1:].float().mean() > 0.9
    made_scales = torch.from_numpy(made.effective_scales[:, :, None])
    zeros = torch.from_numpy(made.effective_zeros[:, :, None])
    grouped = factors.reshape(latent.values.shape)
    beyond = latent.values.detach() / made_scales + zeros > 3.5
    wanted = -(made_scales * (grouped * beyond).sum(-1, keepdim=True))
    torch.testing.assert_close(latent.zeros.grad, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.torch
def test_a_table_is_rounded_and_learns_where_it_is_looked_up(seed):
    torch = pytest.importorskip("torch")
    from arrowmind.quantize.distill.table import LatentTable

    table, made = codes(Grid("int4", 32, "u8", zero_points=True), seed, n=20, k=64)
    latent = LatentTable(made, table)
    ids = torch.tensor([[3, 5, 3], [7, 0, 5]])
    rows = latent.weight()[ids]
    np.testing.assert_allclose(rows.detach().numpy(), made.values()[ids.numpy()], rtol=1e-5, atol=1e-6)
    first = latent.weight()[:2].detach().numpy()
    np.testing.assert_allclose(first, made.values()[:2], rtol=1e-5, atol=1e-6)
    rows.square().sum().backward()
    learned = latent.values.grad.abs().sum((1, 2)).nonzero().flatten().tolist()
    assert learned == [0, 3, 5, 7]
    with torch.no_grad():
        latent.values[3] -= 2 * latent.values[3]
    changed = (latent.codes().codes != made.codes).any(1).nonzero()[0].tolist()
    assert changed == [3]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("distill")
    convert_model(folder.write(path / "original", folder.weights()), path / "tiny")
    return path / "tiny"


@pytest.mark.torch
def test_the_forward_in_torch_is_the_reference(model):
    torch = pytest.importorskip("torch")
    from arrowmind.quantize.distill.forward import forward, pad

    tokens = tokenizer.build()
    ids = [tokens.encode(text).ids for text in TEXTS]
    weights = folder.weights()
    tensors = {name: torch.from_numpy(values) for name, values in weights.items()}
    found, states = forward(MomentObserver(model, TEXTS).model, tensors.__getitem__, pad(ids))
    wanted = np.stack([bert.embed(weights, sequence, folder.HEADS) for sequence in ids])
    np.testing.assert_allclose(found.numpy(), wanted, atol=2e-5)
    assert states[0].shape[:2] == (len(ids), max(map(len, ids)))


def job(model, weights, state=None, progress=no_progress, **options):
    config = QuantizationConfig(quant_type="int2", group_size=16, calibration="distill", **options)
    observer = MomentObserver(model, TEXTS, threads=1)
    grids = {name: config.grid for group in observer.groups for name in group.names}
    return Job(weights, config, grids, {}, observer, model, tuple(TEXTS), "", state, progress)


def embeddings(work, outcome):
    from arrowmind import _native
    from arrowmind.engine.batching import pack
    from arrowmind.engine.compiler import compile_plan

    overlay = Overlay(work.weights, outcome.replaced(work))
    plan = compile_plan(work.calibrator.model, overlay, folder.MAX_TOKENS, quantise=False)
    batch = pack(work.calibrator.tokenise(TEXTS))
    run = plan.run(batch.token_ids, batch.offsets, _native.ThreadPool(1), normalise=True)
    found = np.empty_like(run)
    found[batch.order] = run
    return found


@pytest.mark.torch
def test_training_beats_its_start_and_goes_on_where_it_was_cut(model, tmp_path):
    pytest.importorskip("torch")
    wanted = ArrowEngine(model).encode(TEXTS)
    with open_weights(model) as weights:
        start = gptq.run(job(model, weights))
        work = job(model, weights, steps=60)
        whole = distill.run(work)
        before = (embeddings(work, start) * wanted).sum(1).mean()
        after = (embeddings(work, whole) * wanted).sum(1).mean()
        print(before, after)
        assert 1 - after < 0.7 * (1 - before)

        def interrupt(done, total, what):
            if what == "distilling" and done == 25:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            distill.run(job(model, weights, tmp_path, interrupt, steps=60))
        went_on = distill.run(job(model, weights, tmp_path, steps=60))
    assert work.calibrator.model.embedding.word in whole.vectors
    for name, made in whole.codes.items():
        np.testing.assert_array_equal(went_on.codes[name].codes, made.codes)
        np.testing.assert_array_equal(went_on.codes[name].scales, made.scales)


@pytest.mark.torch
def test_a_coded_table_learns_with_the_matrices_and_keeps_its_type(model, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(storing, "_SMALL_TABLE_ROWS", 8)
    with open_weights(model) as weights:
        work = job(model, weights, steps=30, table_type="int4")
        outcome = distill.run(work)
        word = work.calibrator.model.embedding.word
        before = storing.table_codes(work, word)
        stored = {tensor.spec.name: tensor for tensor in storing.stored_tensors(work, outcome)}
    learned = outcome.codes[word]
    assert stored[word].spec.grid == before.grid
    np.testing.assert_array_equal(stored[word].to_float32(), learned.values())
    assert (learned.values() != before.values()).any()
    assert word not in outcome.vectors
