"""What is refused when parameters are made, and what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowmind.errors import InvalidArgumentError
from arrowmind.generate import SamplingParameters

REFUSED = {
    "temperature": [-1, -1e-9, math.nan, math.inf, 1e-9, 1001, "0.7", None, True, [0.7]],
    "top_k": [-1, 1.5, 40.0, math.nan, "40", None, True, 1 << 40],
    "top_p": [0, -0.1, 1.1, math.nan, math.inf, "0.9", None, True],
    "min_p": [-0.1, 1.1, math.nan, "0.1", None],
    "repetition_penalty": [0, -1, math.nan, math.inf, "1", None],
    "frequency_penalty": [math.nan, math.inf, -101, "1", None],
    "presence_penalty": [math.nan, -math.inf, 101, "1", None],
    "penalty_window": [0, -1, 1.5, "64", True],
    "seed": [-1, 1 << 64, 0.5, "seed", True],
    "stop": [None, 3, b"stop", [""], [3], ["a"] * 0 + ["x" * 5000], ["ab"] * 300],
    "stop_ids": [None, 3, "3", [-1], [1.5], [None], [True]],
    "ignore_eos": [None, 0, 1, "yes"],
    "max_tokens": [0, -1, 1.5, math.nan, "128", None, True],
    "logprobs": [-1, 0.5, "5", True],
    "logit_bias": [
        None,
        [(1, 2.0)],
        {-1: 1.0},
        {"1": 1.0},
        {1: math.nan},
        {1: math.inf},
        {1: "x"},
        {1: None},
    ],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in REFUSED.items() for value in values]
)
def test_refuses_by_name_and_value(name, value):
    with pytest.raises(InvalidArgumentError, match=name) as told:
        SamplingParameters(**{name: value})
    assert "use " in str(told.value)


def test_takes_numpy_numbers_and_makes_them_plain():
    parameters = SamplingParameters(
        temperature=np.float32(0.5), top_k=np.int64(3), seed=np.uint32(5), stop_ids=np.array([1, 2]),
        logit_bias={np.int64(3): np.float32(1.5), 4: -math.inf},
    )  # fmt: skip
    assert (type(parameters.temperature), type(parameters.top_k), type(parameters.seed)) == (float, int, int)
    assert parameters.stop_ids == (1, 2)
    assert parameters.logit_bias == {3: 1.5, 4: -math.inf}


def test_one_stop_is_a_list_of_one():
    assert SamplingParameters(stop="end").stop == ("end",)
    assert SamplingParameters(stop=["a", "b", "a"]).stop == ("a", "b")


@given(
    st.sampled_from(sorted(REFUSED)),
    st.floats() | st.integers() | st.text(max_size=3) | st.none() | st.booleans(),
)
def test_any_value_is_taken_or_refused(name, value):
    try:
        parameters = SamplingParameters(**{name: value})
    except InvalidArgumentError:
        return
    kept = getattr(parameters, name)
    assert not (isinstance(kept, float) and not math.isfinite(kept))
