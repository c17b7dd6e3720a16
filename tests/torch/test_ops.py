"""The operators: what torch demands of them, their gradients, torch.compile and torch.export."""

from __future__ import annotations

import numpy as np
import pytest
from tests.torch.layers import FORMS, IDS

torch = pytest.importorskip("torch")

from arrowmind.errors import InvalidArgumentError, WeightError  # noqa: E402
from arrowmind.torch import QuantizedLinear  # noqa: E402
from arrowmind.torch.ops import Form, dequantize, qlinear  # noqa: E402

pytestmark = pytest.mark.torch

N, K = 37, 50


def layer(form, seed, bias=True):
    torch.manual_seed(seed)
    grid, activation = form
    return QuantizedLinear.from_linear(torch.nn.Linear(K, N, bias=bias), grid, activation=activation)


def matrix(made):
    names = ("codes", "scales", "zero_points", "sums", "outer_scales", "input_scale")
    return *(getattr(made, name) for name in names), made._form


@pytest.mark.parametrize("form", [FORMS[2], FORMS[3], FORMS[10]], ids=[IDS[2], IDS[3], IDS[10]])
def test_torch_finds_nothing_to_blame(form, seed):
    made = layer(form, seed)
    made.bias.requires_grad_(True)
    x = torch.randn(3, K, requires_grad=True)
    torch.library.opcheck(qlinear, (x, made.bias, *matrix(made)))
    torch.library.opcheck(dequantize, matrix(made))


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_gradients_are_those_of_the_dequantised_matrix(form, seed):
    made = layer(form, seed)
    made.bias.requires_grad_(True)
    scale = torch.rand(K) + 0.5
    made.input_scale = scale
    x = torch.randn(2, 3, K, requires_grad=True)
    weight = made.dequantize()
    factors = torch.randn(2, 3, N)
    (made(x) * factors).sum().backward()
    twin, bias = x.detach().clone().requires_grad_(), made.bias.detach().clone().requires_grad_()
    ((twin @ weight.T + bias) * factors).sum().backward()
    torch.testing.assert_close(x.grad, twin.grad)
    torch.testing.assert_close(made.bias.grad, bias.grad)


def test_the_input_alone_may_want_a_gradient(seed):
    made = layer(FORMS[0], seed, bias=False)
    x = torch.randn(4, K, requires_grad=True)
    made(x).sum().backward()
    torch.testing.assert_close(x.grad, made.dequantize().sum(0).expand(4, K))


@pytest.mark.parametrize("form", [FORMS[2], FORMS[3]], ids=[IDS[2], IDS[3]])
def test_under_compile_there_is_one_graph_and_the_same_bits(form, seed):
    model = torch.nn.Sequential(layer(form, seed), torch.nn.ReLU())
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=True)
    for rows in (5, 7, 1):
        x = torch.randn(rows, K)
        assert torch.equal(compiled(x), model(x))
    x = torch.randn(5, K, requires_grad=True)
    compiled(x).sum().backward()
    twin = x.detach().clone().requires_grad_()
    model(twin).sum().backward()
    torch.testing.assert_close(x.grad, twin.grad)


def test_inductor_compiles_it(seed):
    model = torch.nn.Sequential(layer(FORMS[3], seed), torch.nn.ReLU())
    x = torch.randn(5, K)
    with torch.no_grad():
        assert torch.equal(torch.compile(model, fullgraph=True)(x), model(x))


def test_an_exported_program_carries_its_weights(seed, tmp_path):
    model = torch.nn.Sequential(layer(FORMS[5], seed), torch.nn.ReLU())
    rows = torch.export.Dim("rows", min=1, max=64)
    program = torch.export.export(model, (torch.randn(4, K),), dynamic_shapes=({0: rows},))
    assert "arrowmind.qlinear" in str(program.graph)
    torch.export.save(program, tmp_path / "program.pt2")
    again = torch.export.load(tmp_path / "program.pt2").module()
    x = torch.randn(9, K)
    with torch.no_grad():
        assert torch.equal(again(x), model(x))


def test_memory_is_used_where_it_lies(seed):
    # An input that starts anywhere, and one whose rows are not next to each other.
    made = layer(FORMS[3], seed)
    flat = torch.randn(1 + 6 * K)
    x = flat[1:].reshape(6, K)
    wide = torch.randn(6, 2 * K)
    with torch.no_grad():
        assert torch.equal(made(x), made(x.clone()))
        assert torch.equal(made(wide[:, ::2]), made(wide[:, ::2].contiguous()))
        assert made(torch.empty(0, K)).shape == (0, N)
        assert made(torch.randn(K)).shape == (N,)


def test_calls_of_several_threads(seed):
    from concurrent.futures import ThreadPoolExecutor

    made = layer(FORMS[6], seed)
    inputs = [torch.randn(rows, K) for rows in (1, 40, 100, 200) * 4]
    with torch.no_grad():
        wanted = [made(x) for x in inputs]

    def run(x):
        with torch.no_grad():
            return made(x)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(run, inputs))
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_what_does_not_fit_is_refused(seed):
    made = matrix(layer(FORMS[0], seed))
    with pytest.raises(InvalidArgumentError, match=r"use x\.float"):
        qlinear(torch.randn(2, K, dtype=torch.float64), None, *made)
    with pytest.raises(InvalidArgumentError, match="over 50 columns"):
        qlinear(torch.randn(2, K + 1), None, *made)
    for form in ("", "int8", "int8 n16k4 37 fp32 -1 -", "int8 n16k4 37xfive fp32 -1 -"):
        with pytest.raises(InvalidArgumentError, match="is none"):
            qlinear(torch.randn(2, K), None, *made[:-1], form)
    with pytest.raises(WeightError, match="codes holds"):
        qlinear(torch.randn(2, K), None, *made[:-1], "int8 n16k4 999x50 fp32 -1 -")
    with pytest.raises(WeightError, match="is unknown"):
        qlinear(torch.randn(2, K), None, *made[:-1], "int3 n16k4 37x50 fp32 -1 -")


def test_dequantising_gives_the_values_of_the_grid(seed):
    for form in FORMS:
        made = layer(form, seed)
        np.testing.assert_array_equal(made.dequantize().numpy(), made.tensor("a.weight").to_float32())


def test_forms_are_texts(seed):
    for form in FORMS:
        made = layer(form, seed)
        spec = Form.of(made.spec).spec(zero_points=made.zero_points is not None)
        assert Form.of(spec) == Form.of(made.spec)
        spec.check()
    assert str(Form.of(layer(FORMS[3], seed).spec)) == f"int4 n16k8 {N}x{K} fp32 32 fp16"


def test_torchs_own_threads_do_the_work(monkeypatch):
    from arrowmind import _native
    from arrowmind.torch import ops

    if "OpenMP" in torch.__config__.parallel_info():
        assert isinstance(ops._threads(2), _native.OpenMpTeam)
    monkeypatch.setattr(ops, "_gomp_parallel", lambda: 0)
    assert isinstance(ops._threads.__wrapped__(3), _native.ThreadPool)
