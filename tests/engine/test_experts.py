"""Feed-forwards with experts in a plan: the bits of their matrices run one by one, in every form."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.kernels.rows import assert_same_bits

from arrowmind import _native
from arrowmind.engine.expert_compiler import add_routed
from arrowmind.engine.layers import LayerBuilder, Options
from arrowmind.errors import InvalidArgumentError, WeightError
from arrowmind.models.decoder_spec import GatedFeedForward, RoutedFeedForward, Router
from arrowmind.models.spec import Linear
from arrowmind.quantize.matrix.codes import codes_of
from arrowmind.quantize.matrix.feedback import round_plainly
from arrowmind.weights import WeightSource
from arrowmind.weights.formats import Grid
from arrowmind.weights.tensor import float_tensor, grid_tensor, int8_tensor

if TYPE_CHECKING:
    from arrowmind.weights import Tensor

SEED = 71
HIDDEN, INNER, EXPERTS, TOP = 72, 40, 7, 3
FORMS = [
    "fp32",
    "fp16",
    "int8",
    "int8-fp32",
    "int16",
    "int8-paired",
    "int4-16",
    "int4-32",
    "int2-64",
    "fp4-32",
]


class Tensors(WeightSource):
    kind = "memory"

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self._tensors = tensors

    def names(self):
        return list(self._tensors)

    def spec(self, name):
        return self.tensor(name).spec

    def tensor(self, name):
        return self._tensors[name]

    @property
    def documents(self) -> dict[str, dict[str, Any]]:
        return {}

    def close(self):
        pass


def tensor_of(name: str, values: np.ndarray, form: str) -> Tensor:
    kind, _, detail = form.partition("-")
    if kind in ("fp32", "fp16"):
        return float_tensor(name, values.astype(kind.replace("fp", "float"))).for_kernels()
    if kind.startswith("int") and not detail.isdecimal():
        scales = np.abs(values).max(axis=1) / (60 if detail == "paired" else 127)
        codes = np.rint(values / scales[:, None]).astype(np.int8)
        activation = "int16" if kind == "int16" else "fp32" if detail == "fp32" else "int8"
        return int8_tensor(name, codes, scales.astype(np.float32), activation=activation)
    scale = "e8m0" if kind == "fp4" else "fp16"
    grid = Grid(kind, int(detail), scale, zero_points=kind in ("int4", "int2"))
    rounded = round_plainly(np.ascontiguousarray(values.T), grid, np.ones(values.shape[1], np.float32))
    return grid_tensor(name, codes_of(rounded, slice(None)))


def gated(name: str) -> GatedFeedForward:
    return GatedFeedForward(*(Linear(f"{name}.{part}.weight") for part in ("gate", "up", "down")), "silu")


ROUTED = RoutedFeedForward(
    Router("router.weight", TOP, normalised=True), tuple(gated(f"experts.{i}") for i in range(EXPERTS))
)


def weights_of(form: str, forms: dict[str, str] | None = None) -> Tensors:
    rng = np.random.default_rng(SEED)
    tensors = {"router.weight": float_tensor("router.weight", normal(rng, EXPERTS, HIDDEN)).for_kernels()}
    for feed_forward in ROUTED.experts:
        for layer in (*feed_forward.readers, *feed_forward.writers):
            shape = (HIDDEN, INNER) if layer in feed_forward.writers else (INNER, HIDDEN)
            chosen = (forms or {}).get(layer.weight, form)
            tensors[layer.weight] = tensor_of(layer.weight, normal(rng, *shape), chosen)
    return Tensors(tensors)


def normal(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return rng.normal(0, columns**-0.5, (rows, columns)).astype(np.float32)


def plan_of(columns: int = HIDDEN) -> tuple[_native.Plan, int]:
    plan = _native.Plan(1, 1, columns)
    source = plan.buffer("fp32", HIDDEN)
    plan.source(source)
    return plan, source


def routed_plan(weights: WeightSource, routed: RoutedFeedForward = ROUTED) -> _native.Plan:
    plan, source = plan_of()
    stream = plan.buffer("fp32", HIDDEN)
    plan.multiply(source, stream, np.full(HIDDEN, 0.5, np.float32))
    add_routed(LayerBuilder(plan, weights, Options()), routed, source, stream)
    plan.result(stream)
    plan.finish()
    return plan


def one_by_one(weights: WeightSource, x: np.ndarray) -> np.ndarray:
    """Every expert over all rows by the operators of dense layers, and the sum in the order of the route."""
    threads = _native.ThreadPool(1)
    made = []
    for expert in ROUTED.experts:
        plan, source = plan_of()
        layers, out = LayerBuilder(plan, weights, Options()), plan.buffer("fp32", HIDDEN)
        layers.linear((expert.down,), layers.gated(expert, source), out)
        plan.result(out)
        plan.finish()
        made.append(plan.run_rows(x, threads))
    plan, source = plan_of(2 * TOP)
    logits, route = plan.buffer("fp32", EXPERTS), plan.buffer("fp32", 2 * TOP)
    LayerBuilder(plan, weights, Options()).linear((Linear("router.weight"),), source, logits)
    plan.route(logits, route, TOP, normalised=True)
    plan.result(route)
    plan.finish()
    routes = plan.run_rows(x, threads)
    total = np.zeros_like(x)
    for rank in range(TOP):
        chosen = np.stack([made[int(expert)][row] for row, expert in enumerate(routes[:, rank])])
        total += routes[:, TOP + rank, None] * chosen
    return x * np.float32(0.5) + total


@pytest.mark.parametrize("form", FORMS)
def test_the_bits_of_experts_run_one_by_one(form):
    weights = weights_of(form)
    plan = routed_plan(weights)
    x = np.random.default_rng(SEED + 1).normal(0, 1, (90, HIDDEN)).astype(np.float32)
    expected = one_by_one(weights, x)
    for threads in (1, 3):
        pool = _native.ThreadPool(threads)
        for rows in (1, 2, 3, 17, 90):
            assert_same_bits(plan.run_rows(x[:rows], pool), expected[:rows])
    assert_same_bits(plan.run_rows(x[40:41], pool), expected[40:41])


def test_experts_that_ask_for_different_activations_take_float32():
    weights = weights_of("int4-32", {"experts.2.up.weight": "int4-16", "experts.4.down.weight": "fp16"})
    x = np.random.default_rng(SEED + 2).normal(0, 1, (20, HIDDEN)).astype(np.float32)
    found = routed_plan(weights).run_rows(x, _native.ThreadPool(1))
    assert np.abs(found - one_by_one(weights, x)).max() < 0.05
    assert np.isfinite(found).all()


def test_experts_of_different_shapes_are_refused():
    weights = weights_of("fp32")
    weights._tensors["experts.5.up.weight"] = tensor_of(
        "experts.5.up.weight", np.ones((INNER + 1, HIDDEN), np.float32), "fp32"
    )
    with pytest.raises(WeightError, match=r"expert 5 has a matrix of shape \[41, 72\]"):
        routed_plan(weights)


def test_scaled_inputs_of_experts_are_refused():
    weights = weights_of("fp32")
    scale = float_tensor("experts.1.up.input_scale", np.ones(HIDDEN, np.float32))
    weights._tensors["experts.1.up.input_scale"] = scale
    with pytest.raises(WeightError, match=r"experts\.1\.up\.weight scales its inputs"):
        routed_plan(weights)


def test_routers_that_cannot_be():
    weights = weights_of("fp32")
    for change, what in (({"top": 8}, "chooses 8 of 7"), ({"groups": 2}, "2 groups of 7 experts")):
        with pytest.raises(InvalidArgumentError, match=what):
            routed_plan(weights, replace(ROUTED, router=replace(ROUTED.router, **change)))


def test_a_nan_stays_in_its_row():
    plan = routed_plan(weights_of("int4-32"))
    x = np.random.default_rng(SEED + 3).normal(0, 1, (9, HIDDEN)).astype(np.float32)
    clean = plan.run_rows(x, _native.ThreadPool(1))
    x[4, 7] = np.nan
    found = plan.run_rows(x, _native.ThreadPool(1))
    assert np.isnan(found[4]).all()
    others = np.arange(9) != 4
    assert_same_bits(found[others], clean[others])
