"""QuantizedLinear: what it computes, how it is made, kept and refused."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from tests.torch.layers import FORMS, IDS, rounding_bound

torch = pytest.importorskip("torch")

from arrowmind.errors import InvalidArgumentError, WeightError  # noqa: E402
from arrowmind.quantize import QuantizationConfig  # noqa: E402
from arrowmind.torch import QuantizedLinear  # noqa: E402
from arrowmind.weights import WeightFile, write_weights  # noqa: E402
from arrowmind.weights.formats import Grid  # noqa: E402
from arrowmind.weights.tensor import float_tensor  # noqa: E402

pytestmark = pytest.mark.torch

N, K = 70, 96


@pytest.fixture
def linear(seed):
    torch.manual_seed(seed)
    return torch.nn.Linear(K, N)


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_the_product_with_the_dequantised_matrix(form, linear):
    grid, activation = form
    made = QuantizedLinear.from_linear(linear, grid, activation=activation)
    x = torch.randn(21, K) * torch.rand(21, 1) * 10
    weight = made.dequantize().numpy()
    with torch.no_grad():
        found = (made(x) - made.bias).numpy()
    bound = rounding_bound(x.numpy(), weight, activation, 0 if grid is None else grid.block)
    error = np.abs(found - x.numpy().astype(np.float64) @ weight.T.astype(np.float64))
    bound += 2.0**-22 * (np.abs(found) + 1)  # what the bias rounded away
    assert (error <= bound).all(), (error / bound).max()


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_state_round_trips(form, linear, tmp_path):
    grid, activation = form
    made = QuantizedLinear.from_linear(linear, grid, activation=activation)
    torch.manual_seed(1)
    other = QuantizedLinear.from_linear(torch.nn.Linear(K, N), grid, activation=activation)
    torch.save(made.state_dict(), tmp_path / "state.pt")
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    x = torch.randn(5, K)
    with torch.no_grad():
        assert torch.equal(other(x), made(x))
        assert torch.equal(copy.deepcopy(made)(x), made(x))


def test_state_in_a_file_of_tensors_alone(linear, tmp_path):
    files = pytest.importorskip("safetensors.torch")
    made = QuantizedLinear.from_linear(linear, Grid("int4", 32, "fp16"))
    files.save_file(made.state_dict(), tmp_path / "state.safetensors")
    other = QuantizedLinear.from_linear(torch.nn.Linear(K, N), Grid("int4", 32, "fp16"))
    other.load_state_dict(files.load_file(tmp_path / "state.safetensors"))
    x = torch.randn(5, K)
    with torch.no_grad():
        assert torch.equal(other(x), made(x))


def test_a_state_of_another_form_is_refused_before_anything_is_overwritten(linear):
    made = QuantizedLinear.from_linear(linear, Grid("int4", 32, "fp16"), activation="int8")
    other = QuantizedLinear.from_linear(linear, Grid("int4", 32, "fp16"), activation="fp32")
    before = other.codes.clone()
    made.codes.zero_()
    with pytest.raises(WeightError, match="does not go into a layer of form"):
        other.load_state_dict(made.state_dict())
    assert torch.equal(other.codes, before)


def test_loading_forgets_that_codes_were_bound_in_pairs(linear, seed):
    # Kernels for pairs sum in 16 bits: with codes of +-127 side by side they would be wrong.
    bound = QuantizationConfig(symmetric=True, pair_bound=True, activation="int8")
    made = QuantizedLinear.from_linear(linear, bound)
    assert made._form.endswith(" paired")
    free = torch.nn.Linear(K, N)
    with torch.no_grad():
        free.weight.copy_(torch.sign(torch.randn(N, K)))
    wide = QuantizedLinear.from_linear(free, QuantizationConfig(symmetric=True, activation="int8"))
    made.load_state_dict(wide.state_dict())
    assert not made._form.endswith(" paired")
    x = torch.rand(4, K) + 1
    with torch.no_grad():
        assert torch.equal(made(x), wide(x))


def test_it_tells_what_it_is(linear):
    made = QuantizedLinear.from_linear(linear, QuantizationConfig(quant_type="int4"))
    assert repr(made) == (
        f"QuantizedLinear(in_features={K}, out_features={N}, int4, group=32, scales=fp16, zero_points, "
        "activation=fp32, bias=True)"
    )
    padded = -(-N // 16) * 16
    assert made.weight_bytes == padded * K // 2 + padded * (K // 32) * 3


def test_choices_decide(linear):
    assert QuantizedLinear.from_linear(linear).activation == "int16"
    assert QuantizedLinear.from_linear(linear, QuantizationConfig(activation="int8")).activation == "int8"
    whole = QuantizedLinear.from_linear(linear, QuantizationConfig(per_channel=False, symmetric=True))
    assert len(set(whole.scales[:N].tolist())) == 1
    with pytest.raises(InvalidArgumentError, match="whole models"):
        QuantizedLinear.from_linear(linear, QuantizationConfig(quant_type="int2", calibration="distill"))
    with pytest.raises(InvalidArgumentError, match="calibration inputs"):
        QuantizedLinear.from_linear(linear, QuantizationConfig(quant_type="int2", calibration="gptq"))


def test_error_feedback_loses_less(linear, seed):
    torch.manual_seed(seed)
    x = torch.randn(2000, 8) @ torch.randn(8, K) + 0.1 * torch.randn(2000, K)
    hessian = (x.T.double() @ x.double() / len(x)).numpy()

    def loss(method):
        config = QuantizationConfig(quant_type="int4", calibration=method)
        made = QuantizedLinear.from_linear(linear, config, hessian=hessian)
        with torch.no_grad():
            return float((made(x) - linear(x)).norm())

    assert loss("gptq") < 0.7 * loss("ptq")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_converted(linear, dtype):
    made = QuantizedLinear.from_linear(linear.to(dtype), Grid("int8", 32, "fp16"))
    x = torch.randn(3, K).to(dtype)
    with torch.no_grad():
        found = made(x)
        assert found.dtype == dtype
        torch.testing.assert_close(found, made(x.float()).to(dtype))


def test_training_of_the_bias_goes_on(linear):
    made = QuantizedLinear.from_linear(linear.train())
    assert made.training
    assert [name for name, p in made.named_parameters() if p.requires_grad] == ["bias"]
    linear.bias.requires_grad_(False)
    assert not QuantizedLinear.from_linear(linear).bias.requires_grad


def test_a_tensor_of_a_weight_file(linear, tmp_path):
    made = QuantizedLinear.from_linear(linear, Grid("int2", 32, "u8", zero_points=True))
    write_weights(tmp_path / "weights.arrow", [made.tensor("layer.weight")])
    with WeightFile.open(tmp_path / "weights.arrow") as weights:
        again = QuantizedLinear(weights.tensor("layer.weight"), made.bias.detach())
    x = torch.randn(3, K)
    with torch.no_grad():
        assert torch.equal(again(x), made(x))
        again.codes.zero_()  # a copy: the mapping is for reading alone


def test_what_does_not_fit_is_refused(linear):
    made = QuantizedLinear.from_linear(linear)
    with pytest.raises(InvalidArgumentError, match=rf"layer of {K} inputs"):
        made(torch.randn(2, K + 1))
    with pytest.raises(InvalidArgumentError, match=r"use float32, float16 or bfloat16"):
        made(torch.randn(2, K, dtype=torch.float64))
    with pytest.raises(InvalidArgumentError, match="must be on the CPU"):
        made(torch.randn(2, K, device="meta"))
    with pytest.raises(InvalidArgumentError, match="has no matrix"):
        QuantizedLinear.from_linear(torch.nn.ReLU())
    with pytest.raises(InvalidArgumentError, match=r"\.cpu"):
        QuantizedLinear.from_linear(torch.nn.Linear(4, 4, device="meta"))
    with torch.no_grad():
        linear.weight[3, 3] = float("nan")
    with pytest.raises(InvalidArgumentError, match="NaN"):
        QuantizedLinear.from_linear(linear)
    row = float_tensor("norm", np.ones(3, np.float32))
    with pytest.raises(WeightError, match="no packed"):
        QuantizedLinear(row)
    with pytest.raises(WeightError, match=rf"float32 \[{N}\]"):
        QuantizedLinear(made.tensor("a.weight"), torch.zeros(3))
