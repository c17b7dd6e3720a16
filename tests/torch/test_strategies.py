"""Ways to run a model on the CPU: what can be had, what is chosen, what happens where one fails."""

from __future__ import annotations

import shutil

import pytest

torch = pytest.importorskip("torch")

from arrowmind.errors import InvalidArgumentError  # noqa: E402
from arrowmind.torch import QuantizedLinear, Strategy, available, choose, prepare  # noqa: E402
from arrowmind.torch.strategies import compiled, ipex, onednn, registry  # noqa: E402

pytestmark = pytest.mark.torch

NAMES = {"compile", "eager", "ipex", "native", "onednn"}


@pytest.fixture
def model(seed):
    torch.manual_seed(seed)
    layers = [torch.nn.Linear(16, 24), torch.nn.GELU(), torch.nn.Dropout(0.5), torch.nn.Linear(24, 8)]
    return torch.nn.Sequential(*layers).train()


@pytest.fixture
def fallbacks(monkeypatch):
    """Every fallback, as (what, reason)."""
    seen = []
    for module in (registry, compiled):
        monkeypatch.setattr(module, "record_fallback", lambda what, reason, **_: seen.append((what, reason)))
    return seen


def test_each_tells_whether_it_can_be_had():
    found = available()
    assert set(found) == NAMES
    assert [*found] == sorted(found)
    assert found["eager"] == found["native"] == ""


@pytest.mark.parametrize("name", sorted(NAMES - {"ipex"}))
def test_results_are_those_of_the_model(name, model, fallbacks):
    x = torch.randn(5, 16)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    wanted = model.eval()(x).detach()
    model.train()
    made = prepare(model, name)
    with torch.no_grad():
        found = made(x)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.03 if name == "native" else 1e-5)
    assert model.training
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert not any(isinstance(module, QuantizedLinear) for module in model.modules())
    assert fallbacks == []


def test_copies_share_the_tensors_of_the_model(model):
    assert prepare(model, "eager")[0].weight is model[0].weight
    assert prepare(model, "native")[3].bias is not None


def test_automatically_one_that_keeps_float32(model, fallbacks):
    assert choose("auto").name in ("onednn", "eager", "ipex")
    assert fallbacks == []


def test_automatically_what_is_left(monkeypatch):
    monkeypatch.setattr(onednn, "missing", lambda: "switched off")
    monkeypatch.setattr(ipex, "missing", lambda: "not installed")
    assert choose("auto") == Strategy("eager")


def test_what_is_missing_falls_back_with_a_warning(monkeypatch, fallbacks):
    monkeypatch.setattr(ipex, "missing", lambda: "not installed")
    assert choose("ipex") == Strategy("eager")
    assert fallbacks == [("torch strategy", "ipex is not to be had")]


def test_without_a_compiler_there_is_nothing_to_compile_with(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "C++ compiler" in available()["compile"]


def test_without_onednn(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert "without oneDNN" in available()["onednn"]


def test_an_extension_for_another_torch_is_not_imported(monkeypatch):
    monkeypatch.setattr(ipex.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(ipex.importlib.metadata, "version", lambda name: "2.8.0")
    assert "is for another torch" in ipex.missing()


def test_an_extension_that_fits_is_used(monkeypatch, model):
    import types

    called = []

    def optimize(made, *, inplace):
        called.append(inplace)
        return made

    monkeypatch.setattr(ipex.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(ipex.importlib.metadata, "version", lambda name: f"{torch.__version__[:4]}.0")
    monkeypatch.setattr(
        ipex.importlib, "import_module", lambda name: types.SimpleNamespace(optimize=optimize)
    )
    assert ipex.missing() == ""
    ipex.prepare(model)
    assert called == [True]


def test_a_strategy_that_fails_on_a_model_falls_back(monkeypatch, model, fallbacks):
    def fail(model):
        raise RuntimeError("no such order of bytes")

    monkeypatch.setattr(onednn, "prepare", fail)
    made = Strategy("onednn").prepare(model)
    assert isinstance(made[0], torch.nn.Linear)
    assert fallbacks == [("torch strategy", "onednn failed on the model")]


def test_what_fails_when_it_is_compiled_falls_back(monkeypatch, model, fallbacks):
    made = prepare(model, "compile")
    calls = []

    def fail(x):
        calls.append(x)
        raise RuntimeError("the compiler is gone")

    made._run = fail
    x = torch.randn(2, 16)
    wanted = prepare(model, "eager")(x)
    assert torch.equal(made(x), wanted)
    assert torch.equal(made(x), wanted)
    assert len(calls) == 1
    assert fallbacks == [("torch strategy", "compile failed on the model")]


def test_wrong_input_is_no_reason_to_fall_back(model, fallbacks):
    made = prepare(model, "compile")
    with pytest.raises(RuntimeError):
        made(torch.randn(2, 17))
    assert fallbacks == []


def test_an_unknown_name():
    with pytest.raises(InvalidArgumentError, match="use auto, compile, eager, ipex, native, onednn"):
        choose("magic")


def test_a_single_layer_can_be_the_model(seed):
    torch.manual_seed(seed)
    layer = torch.nn.Linear(8, 4)
    x = torch.randn(3, 8)
    with torch.no_grad():
        torch.testing.assert_close(prepare(layer, "onednn")(x), layer(x))
        assert isinstance(prepare(layer, "native"), QuantizedLinear)
