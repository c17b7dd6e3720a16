"""The operators on a GPU: torch's tensors by their addresses, in its stream.

Torch has no GPU here. The device is made of fibers, whose memory is the host's: tensors of the CPU stand for
its own, and what is asked of torch is answered by a stand-in.
"""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from tests.device.fake import Fake
from tests.device.gpu_driver import Driver
from tests.torch.layers import FORMS, IDS

torch = pytest.importorskip("torch")

from arrowmind.engine.device_probe import BACKENDS_VARIABLE  # noqa: E402
from arrowmind.errors import (  # noqa: E402
    DeviceError,
    DeviceLostError,
    DeviceUnsupportedError,
    InvalidArgumentError,
    WeightError,
)
from arrowmind.torch import QuantizedLinear, ops, there  # noqa: E402

pytestmark = pytest.mark.torch

N, K, STREAM = 37, 50, 4096
NAMES = ("codes", "scales", "zero_points", "sums", "outer_scales", "input_scale")


class StandIn:
    """Answers as torch with a GPU would."""

    def __init__(self, kind="cuda", numbers=None):
        self.kind, self.numbers, self.guarded = kind, numbers or {}, []

    def index(self, tensor):
        return self.numbers.get(tensor.data_ptr(), 0)

    def stream(self, index):
        return STREAM + index

    @contextmanager
    def guard(self, index):
        self.guarded.append(index)
        yield


@pytest.fixture
def driver(tmp_path, monkeypatch):
    monkeypatch.setenv(BACKENDS_VARIABLE, str(tmp_path))
    monkeypatch.setattr(there, "_devices", {})
    made = Driver(tmp_path)
    yield made
    made.set()


def layer(form, seed, bias=True, n=N, k=K):
    torch.manual_seed(seed)
    grid, activation = form
    return QuantizedLinear.from_linear(torch.nn.Linear(k, n, bias=bias), grid, activation=activation)


def run(made, x, gpu=None):
    matrix = [getattr(made, name) for name in NAMES]
    return ops._qlinear_there(x, made.bias, *matrix, made._form, gpu=gpu or StandIn())


@pytest.mark.parametrize("form", FORMS, ids=IDS)
@pytest.mark.parametrize("rows", [1, 9])  # few, and more
def test_every_form_gives_what_the_cpu_gives(driver, form, rows, seed):
    made, x = layer(form, seed), torch.randn(rows, K)
    gpu = StandIn()
    found = run(made, x, gpu)
    assert driver.stream() == STREAM
    assert gpu.guarded == [0]
    if form[1] == "fp32":
        torch.testing.assert_close(found, made(x), atol=2e-5, rtol=1e-5)
    else:  # integers have the bits of the CPU
        assert torch.equal(found, made(x))


@pytest.mark.parametrize("form", [FORMS[0], FORMS[2], FORMS[4]], ids=[IDS[0], IDS[2], IDS[4]])
def test_inputs_of_any_shape_and_place(driver, form, seed):
    made = layer(form, seed, bias=False)
    made.input_scale = torch.rand(K) + 0.5
    whole = torch.randn(4, 2, 3, K + 1)
    for x in (whole[0, 0, 0, 1:], whole[..., 1:], whole[:, :, :0, 1:], whole[..., :K].transpose(0, 2)):
        found = run(made, x)
        assert found.shape == (*x.shape[:-1], N)
        torch.testing.assert_close(found, made(x), atol=2e-5, rtol=1e-5)


@pytest.mark.slow
def test_more_rows_than_a_launch_takes(driver, seed):
    made = layer(FORMS[2], seed, n=16, k=4)
    x = torch.randn(32768 + 70, 4)
    assert torch.equal(run(made, x), made(x))


def test_rocm_is_named_cuda_by_torch(tmp_path, monkeypatch, seed):
    monkeypatch.setenv(BACKENDS_VARIABLE, str(tmp_path))
    monkeypatch.setattr(there, "_devices", {})
    made, x = layer(FORMS[2], seed), torch.randn(3, K)
    driver = Driver(tmp_path, "hip_on_host")
    assert torch.equal(run(made, x, StandIn("rocm")), made(x))
    assert driver.stream() == STREAM


def test_torch_dispatches_tensors_of_a_gpu_there():
    for name in ("qlinear", "dequantize"):
        assert torch._C._dispatch_has_kernel_for_dispatch_key(f"arrowmind::{name}", "CUDA")
    assert there.TorchGpu.kind == ("cuda" if torch.version.hip is None else "rocm")


def test_what_is_compiled_is_told_the_place_of_the_result(seed):
    from torch._subclasses.fake_tensor import FakeTensorMode

    made = layer(FORMS[3], seed)
    with FakeTensorMode() as mode:

        def there_(tensor):
            return None if tensor is None else torch.empty(tensor.shape, dtype=tensor.dtype, device="cuda")

        tensors = [there_(getattr(made, name)) for name in NAMES]
        x = torch.empty(2, 3, K, device="cuda")
        found = ops.qlinear(x, there_(made.bias), *tensors, made._form)
        matrix = ops.dequantize(*tensors, made._form)
    assert mode is not None
    assert (found.shape, found.device.type) == ((2, 3, N), "cuda")
    assert (matrix.shape, matrix.device.type) == ((N, K), "cuda")


def test_the_matrix_comes_back_by_way_of_the_cpu(seed):
    made = layer(FORMS[3], seed)
    found = ops._dequantize_there(*(getattr(made, name) for name in NAMES), made._form)
    assert torch.equal(found, made.dequantize())


def test_without_a_back_end_the_message_says_what_to_do(tmp_path, monkeypatch, seed):
    monkeypatch.setenv(BACKENDS_VARIABLE, str(tmp_path))
    monkeypatch.setattr(there, "_devices", {})
    made, x = layer(FORMS[0], seed), torch.randn(3, K)
    with pytest.raises(DeviceUnsupportedError, match=r"tensors on cuda:0 need .* no back end .* to the CPU"):
        run(made, x)
    Fake(tmp_path)  # of an earlier kind: it adopts neither streams nor memory
    with pytest.raises(DeviceUnsupportedError, match="the back end cannot"):
        run(made, x)


def test_tensors_of_two_devices_are_refused(driver, seed):
    made, x = layer(FORMS[0], seed), torch.randn(3, K)
    with pytest.raises(InvalidArgumentError, match="meets weights on"):
        run(made, x, StandIn(numbers={x.data_ptr(): 1}))
    with pytest.raises(DeviceError, match="no device 1"):
        everything = [x, made.bias, *(getattr(made, name) for name in NAMES)]
        run(made, x, StandIn(numbers={one.data_ptr(): 1 for one in everything if one is not None}))
    with pytest.raises(InvalidArgumentError, match=r"on meta meets weights on cpu; both must be on the CPU"):
        made(x.to("meta"))


def test_wrong_tensors_are_refused_before_anything_is_launched(driver, seed):
    made, x = layer(FORMS[0], seed), torch.randn(3, K)
    with pytest.raises(InvalidArgumentError, match="meets quantised weights"):
        run(made, x.double())
    with pytest.raises(InvalidArgumentError, match="meets weights over"):
        run(made, x[:, 1:])
    made.codes = made.codes[:-64]
    with pytest.raises(WeightError, match="codes holds"):
        run(made, x)
    made.codes = made.codes.double()
    with pytest.raises(InvalidArgumentError, match="none of ArrowMind's"):
        run(made, x)


def test_failures_are_errors_and_a_lost_device_is_opened_again(driver, seed):
    made, x = layer(FORMS[2], seed), torch.randn(3, K)
    run(made, x)
    driver.set()
    run(made, x)
    calls = driver.report()["calls"]
    before = driver.live()
    for call in range(1, calls + 1):
        driver.set(call=call, failure=1)
        with pytest.raises(DeviceError):
            run(made, x)
        assert driver.live() == before  # nothing of torch's was given back, nothing of ours is left
    driver.set(call=1, failure=700, sticky=1)  # an illegal address
    with pytest.raises(DeviceLostError):
        run(made, x)
    driver.set()
    assert torch.equal(run(made, x), made(x))
