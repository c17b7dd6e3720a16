"""Which kernel serves a call: by processor, by ARROWMIND_MAX_ISA, by ARROWMIND_KERNEL."""

from __future__ import annotations

import numpy as np
import pytest
from tests.kernels.rows import rows
from tests.reference.qmatmul import Form

from arrowmind import _native
from arrowmind.errors import ConfigurationError, InvalidArgumentError, KernelError

ISAS = [isa["name"] for isa in _native.isas()]
FORMS = sorted({Form.of(row) for row in rows("qmatmul")})
ISA_OF = {row["name"]: row["isa"] for row in rows("qmatmul")}


@pytest.fixture
def environment(monkeypatch):
    """Sets variables for the native core and has it read them; everything is as before afterwards."""

    def change(**variables: str) -> None:
        for name in ("ARROWMIND_MAX_ISA", "ARROWMIND_KERNEL"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        _native.reload_environment()

    yield change
    monkeypatch.undo()
    _native.reload_environment()


def chosen(form: Form, m: int = 64) -> str:
    weight = form.weight.removesuffix("-grid")
    return _native.qmatmul_select(form.activation, weight, m, group=None if weight == form.weight else 32)


@pytest.mark.parametrize("form", FORMS, ids=" x ".join)
def test_the_widest_instructions_win(environment, form):
    environment()
    able = [ISA_OF[row["name"]] for row in rows("qmatmul") if row["enabled"] and Form.of(row) == form]
    assert ISA_OF[chosen(form)] == max(able, key=ISAS.index)


@pytest.mark.parametrize("cap", ISAS)
def test_cap_lowers(environment, cap):
    environment(ARROWMIND_MAX_ISA=cap)
    for isa in _native.isas():
        assert not isa["enabled"] or ISAS.index(isa["name"]) <= ISAS.index(cap)
    for form in FORMS:
        assert ISAS.index(ISA_OF[chosen(form)]) <= ISAS.index(cap)
    if cap == "scalar":
        assert all(chosen(form).endswith("_scalar") for form in FORMS)


@pytest.mark.parametrize("cap", ISAS)
def test_cap_never_raises(environment, cap):
    environment()
    before = {isa["name"]: isa["enabled"] for isa in _native.isas()}
    environment(ARROWMIND_MAX_ISA=cap)
    assert all(before[isa["name"]] for isa in _native.isas() if isa["enabled"])


@pytest.mark.parametrize("value", ["avx3", "AVX2 ", "1"])
def test_unknown_cap_is_an_error(environment, value):
    environment(ARROWMIND_MAX_ISA=value)
    with pytest.raises(ConfigurationError, match="ARROWMIND_MAX_ISA"):
        _native.isas()
    with pytest.raises(ConfigurationError, match="ARROWMIND_MAX_ISA"):
        chosen(FORMS[0])


@pytest.mark.parametrize("name", [row["name"] for row in rows("qmatmul") if row["enabled"]])
def test_forced_kernel_is_used(environment, name):
    environment(ARROWMIND_KERNEL=name)
    form = Form.of(next(row for row in rows("qmatmul") if row["name"] == name))
    assert chosen(form) == name
    others = [other for other in FORMS if other != form]
    assert all(chosen(other) != name for other in others)


def test_several_kernels_can_be_forced(environment):
    names = [row["name"] for row in rows("qmatmul") if row["isa"] == "scalar"]
    environment(ARROWMIND_KERNEL=",".join(names))
    assert {chosen(form) for form in FORMS} == set(names)


def test_unknown_kernel_is_an_error(environment):
    environment(ARROWMIND_KERNEL="qmatmul_i16_i8_quantum")
    with pytest.raises(ConfigurationError, match="qmatmul_i16_i8_quantum"):
        chosen(FORMS[0])


def test_forced_kernel_beyond_the_cap_is_an_error(environment):
    beyond = [row["name"] for row in rows("qmatmul") if row["isa"] != "scalar"]
    if not beyond:
        pytest.skip("this architecture has scalar rows only")
    environment(ARROWMIND_MAX_ISA="scalar", ARROWMIND_KERNEL=beyond[0])
    with pytest.raises(ConfigurationError, match=beyond[0]):
        chosen(FORMS[0])


def test_unknown_names_are_refused():
    with pytest.raises(InvalidArgumentError, match="int4"):
        _native.qmatmul_select("int4", "int8", 1)
    with pytest.raises(KernelError, match="int8"):
        _native.qmatmul_select("int8", "fp32", 1)
    a, c = np.zeros((1, 4), np.int16), np.zeros((1, 1), np.float32)
    with pytest.raises(KernelError, match="qmatmul_none"):
        _native.qmatmul_run("qmatmul_none", a, 4, np.zeros(64, np.uint8), c)
