"""Matrices on trellis codes: rounding, error feedback, training, and a model on them."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind.quantize.matrix.codes import codes_of
from arrowmind.quantize.matrix.feedback import round_plainly, round_with_feedback
from arrowmind.quantize.matrix.hessian import damped, feedback_factor
from arrowmind.quantize.matrix.refine import refine, squared_error
from arrowmind.weights.formats import Grid

SEED = 20261122
GRIDS = [Grid("trellis2", 128, "fp16"), Grid("trellis3", 0, "fp32"), Grid("trellis2", 32, "u8")]


def matrix(n: int = 48, k: int = 260) -> np.ndarray:
    rng = np.random.default_rng(SEED)
    return (rng.standard_normal((k, n)) * rng.uniform(0.02, 0.08, (1, n))).astype(np.float32)


def moments(k: int = 260) -> np.ndarray:
    inputs = np.random.default_rng(SEED + 1).standard_normal((4 * k, k // 4)) @ np.random.default_rng(
        SEED + 2
    ).standard_normal((k // 4, k))
    return inputs.T @ inputs / len(inputs)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_codes_stand_for_what_was_rounded(grid):
    rounded = round_plainly(matrix(), grid, np.ones(260, np.float32))
    codes = codes_of(rounded)
    np.testing.assert_allclose(codes.values().T, rounded.values(), rtol=1e-6)
    part = codes_of(rounded, slice(8, 24))
    assert np.array_equal(part.values(), codes.values()[8:24])


def test_less_is_lost_than_on_a_plain_grid():
    columns, weight = matrix(), np.ones(260, np.float32)

    def lost(grid: Grid) -> float:
        return float(((round_plainly(columns, grid, weight).values() - columns) ** 2).sum())

    assert lost(Grid("trellis2", 128, "fp16")) < 0.8 * lost(Grid("int2", 128, "fp16", zero_points=True))
    assert lost(Grid("trellis3", 128, "fp16")) < 0.35 * lost(Grid("trellis2", 128, "fp16"))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_feedback_takes_off_what_moments_say_can_be_taken_off(grid):
    columns, hessian = matrix(), moments()
    factor, heavy = feedback_factor(hessian, 0.01), damped(hessian, 0.01)
    plain = round_plainly(columns, grid, np.diagonal(heavy).astype(np.float32))
    fed = round_with_feedback(columns, factor, grid)
    before = squared_error(fed, columns, heavy).sum()
    assert before < 0.7 * squared_error(plain, columns, heavy).sum()
    refine(fed, columns, heavy.astype(np.float32), 1)
    assert squared_error(fed, columns, heavy).sum() <= before * (1 + 1e-5)
    np.testing.assert_allclose(codes_of(fed).values().T, fed.values(), rtol=1e-6)


def test_training_starts_from_the_codes_and_moves_what_it_should():
    torch = pytest.importorskip("torch")
    from arrowmind.quantize.distill.latent import latent_matrix

    for grid in GRIDS:
        columns = matrix()
        made = codes_of(round_plainly(columns, grid, np.ones(260, np.float32)))
        latent = latent_matrix(made, np.ascontiguousarray(columns.T))
        same = latent.codes().codes == made.codes
        assert same.mean() > 0.99
        weight = latent.weight()
        np.testing.assert_allclose(weight.detach().numpy(), latent.codes().values(), rtol=1e-5, atol=1e-8)
        moved = columns + np.random.default_rng(SEED).standard_normal(columns.shape).astype(np.float32) * 0.03
        aim = torch.from_numpy(np.ascontiguousarray(moved.T))
        optimiser = torch.optim.Adam([latent.values], lr=1e-3)
        losses = []
        for _ in range(40):
            loss = ((latent.weight() - aim) ** 2).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        assert latent.log_scales.grad.isfinite().all()
        assert losses[-1] < 0.9 * losses[0]


def test_a_scale_that_is_far_too_small_grows():
    """Its gradient once was that of rounding alone: trained towards twice itself, a matrix fell to zero."""
    torch = pytest.importorskip("torch")
    from arrowmind.quantize.distill.latent import latent_matrix

    for grid in GRIDS[:2]:
        columns = matrix(16, 128)
        made = codes_of(round_plainly(columns, grid, np.ones(128, np.float32)))
        latent = latent_matrix(made, np.ascontiguousarray(columns.T))
        aim = torch.from_numpy(np.ascontiguousarray(columns.T)) * 2
        groups = [{"params": [latent.values], "lr": 2e-3}, {"params": [latent.log_scales], "lr": 2e-2}]
        optimiser = torch.optim.Adam(groups)
        losses = []
        for _ in range(160):
            loss = ((latent.weight() - aim) ** 2).sum() / (aim**2).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        print(grid, losses[0], losses[-1])
        assert losses[-1] < 0.65 * losses[0]
        assert latent.log_scales.detach().exp().mean() > 1.3 * made.effective_scales.mean()


def test_gradients_of_scales_are_levels_where_values_are_beyond_them():
    torch = pytest.importorskip("torch")
    from arrowmind.quantize.distill.latent import latent_matrix

    columns = matrix(8, 260)  # two groups of 128, and one of 4
    made = codes_of(round_plainly(columns, GRIDS[0], np.ones(260, np.float32)))
    latent = latent_matrix(made, np.ascontiguousarray(columns.T))
    with torch.no_grad():
        latent.values[0, :3] *= 100
    weight = latent.weight()
    factors = torch.from_numpy(np.random.default_rng(SEED).standard_normal(weight.shape).astype(np.float32))
    (weight * factors).sum().backward()
    ends = latent.grid.code_type.trellis.farthest
    scales = made.effective_scales.repeat(128, axis=1)[:, :260]
    exact, levels = latent.values.detach().numpy() / scales, weight.detach().numpy() / scales
    inside = np.abs(exact) <= ends
    assert not inside[0, :3].any()
    np.testing.assert_array_equal(latent.values.grad.numpy() != 0, inside)
    moved = factors.numpy() * (levels - np.where(inside, exact, 0)) * scales  # of the logarithm
    wanted = np.add.reduceat(moved, [0, 128, 256], axis=1)
    np.testing.assert_allclose(latent.log_scales.grad.numpy(), wanted, rtol=2e-3, atol=1e-4)


@pytest.mark.torch
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_codes_that_hold_follow_late_and_go_on_from_their_state(grid):
    """Values go to and fro: paths change less, codes are what the forward saw, and a checkpoint has all."""
    torch = pytest.importorskip("torch")
    from tests.quantize.holding import assert_goes_on, changes_to_and_fro

    from arrowmind.quantize.distill.latent import latent_matrix

    columns = matrix(8, 128)
    rows = np.ascontiguousarray(columns.T)
    made = codes_of(round_plainly(columns, grid, np.ones(128, np.float32)))
    held, free, went_on = (latent_matrix(made, rows, margin=margin) for margin in (0.3, 0.0, 0.3))
    np.testing.assert_allclose(held.codes().values(), made.values(), rtol=1e-5, atol=1e-6)
    chance = torch.Generator().manual_seed(SEED)
    scale = float(made.effective_scales.mean()) * (1 if grid.bits == 2 else 0.5)
    steps = [2.0 * scale * torch.randn(held.values.shape, generator=chance) for _ in range(12)]
    late, at_once = changes_to_and_fro([held, free], steps)
    print(grid, late, at_once)
    assert late < 0.7 * at_once
    assert ("held" in held.state(), "held" in free.state()) == (True, False)
    assert_goes_on(held, went_on)


@pytest.mark.torch
def test_codes_that_hold_reach_what_values_are_led_to():
    torch = pytest.importorskip("torch")
    from arrowmind.quantize.distill.latent import latent_matrix

    columns = matrix(8, 128)
    aim = np.ascontiguousarray(columns[::-1])  # of the same rows, so that their scales serve
    made = codes_of(round_plainly(columns, GRIDS[0], np.ones(128, np.float32)))
    latent = latent_matrix(made, np.ascontiguousarray(columns.T), margin=0.2)
    nearest = codes_of(round_plainly(aim, GRIDS[0], np.ones(128, np.float32))).values()
    with torch.no_grad():
        latent.values.copy_(torch.from_numpy(np.ascontiguousarray(aim.T)))
    for _ in range(8):
        latent.weight()
    lost = np.square(latent.codes().values() - aim.T).mean()
    print(lost, np.square(nearest - aim.T).mean())
    assert lost < 1.5 * np.square(nearest - aim.T).mean()
