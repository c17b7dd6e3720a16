"""The native index of a weight file: it accepts what Python accepts, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.weights.forge import forge
from tests.weights.test_hostile import LIES

from arrowmind._native import WeightTable
from arrowmind.columnar import ArrowFile
from arrowmind.errors import IntegrityError, InvalidArgumentError, WeightError
from arrowmind.weights import TensorSpec, WeightFile
from arrowmind.weights import index as index_module
from arrowmind.weights.tensor import int8_tensor
from arrowmind.weights.writer import write_weights

SEED = 20
BUFFERS = ("no codes", "no scales", "few scales", "NaN scale", "negative scale", "zero points", "no sums")
NAMES = [
    "a.b.weight",
    "weight",
    "layer.0.bias",
    "caf\N{LATIN SMALL LETTER E WITH ACUTE}.weight",
    'a"b.weight',
]
DESCRIPTIONS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NAMES),
        "quant_type": st.sampled_from(["fp32", "fp16", "bf16", "int8", "int4", "int2", "fp4", "int3"]),
        "shape": st.lists(st.sampled_from([-1, 0, 1, 5, 48, 2**31 - 1]), max_size=3).map(tuple),
        "layout": st.sampled_from(["row", "n16", "n16k4", "n16k8", "n16k16", "n8"]),
        "quant_axis": st.sampled_from([-1, 0, 1]),
        "activation": st.sampled_from(["fp32", "int16", "int8", "int4"]),
        "group_size": st.sampled_from([-2, -1, 0, 16, 32, 33, 64, 128]),
        "scale_type": st.sampled_from(["", "fp32", "fp16", "u8", "e8m0", "e4m3", "f8"]),
        "zero_type": st.sampled_from(["", "u8", "i8"]),
    }
)


def grids():
    """Descriptions that are sound more often than not."""
    kinds = {"int8": "n16k4", "int4": "n16k8", "int2": "n16k16", "fp4": "n16k8"}
    return st.builds(
        lambda kind, packed, group, scale, zero, shape: {
            "name": "a.b.weight",
            "quant_type": kind,
            "shape": shape,
            "layout": kinds[kind] if packed else "row",
            "quant_axis": 0,
            "activation": "int8" if packed else "fp32",
            "group_size": group,
            "scale_type": "fp32" if group == 0 else scale,
            "zero_type": zero,
        },
        st.sampled_from(list(kinds)),
        st.booleans(),
        st.sampled_from([0, 16, 32, 64, 128]),
        st.sampled_from(["fp16", "u8", "e8m0", "e4m3"]),
        st.sampled_from(["", "u8"]),
        st.tuples(st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1)),
    )


def declared(spec: TensorSpec) -> int | None:
    """Bytes of codes of a description that is sound; None of one that is not."""
    try:
        spec.check()
    except WeightError:
        return None
    return spec.codes_bytes if spec.codes_bytes < 2**63 else None


@settings(max_examples=150, derandomize=True, deadline=None)
@given(DESCRIPTIONS | grids())
def test_it_accepts_what_python_accepts(tmp_path_factory, description):
    spec = TensorSpec(**description)
    size = declared(spec)
    columns = {"codes_bytes": [0 if size is None else size, 72], "codes": [b"", np.ones(18, np.float32)]}
    layer, _, weight = spec.name.rpartition(".")
    columns |= {"layer_name": [layer, "layer"], "weight_name": [weight, "bias"]}
    columns["checksums"] = np.zeros((2, 5), np.uint32)
    path = forge(tmp_path_factory.mktemp("index") / "weights.arrow", spec=description, columns=columns)
    with ArrowFile.open(path) as file:
        table = WeightTable(file.batch(0).native)
        ordinary = spec.name.isascii() and '"' not in spec.name
        assert table.is_sound == (size is not None and ordinary)
        if table.is_sound:
            assert TensorSpec(*table.describe(0)) == spec
            index_module.WeightIndex(file.batch(0), file.metadata, str(path))  # compares the checksum


@pytest.mark.parametrize("lie", BUFFERS)
def test_buffers_that_lie_are_refused_in_the_same_words(lie, tmp_path):
    options, _ = LIES[lie]
    with WeightFile.open(forge(tmp_path / "weights.arrow", **options)) as weights:
        with pytest.raises(IntegrityError) as alone:
            weights.tensor("layer.weight")
        with pytest.raises(IntegrityError) as together:
            weights.native_rows(["layer.weight"])
    assert str(alone.value) == str(together.value)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_described_here_and_there_is_the_same(name, tmp_path):
    generator = np.random.default_rng(SEED)
    codes = generator.integers(-127, 128, (20, 12)).astype(np.int8)
    tensors = [
        int8_tensor(name, codes, np.ones(20, np.float32)),
        int8_tensor("x.weight", codes, np.ones(20, np.float32)),
    ]
    path = tmp_path / "weights.arrow"
    write_weights(path, tensors, {"model": {"model_type": "bert"}})
    with WeightFile.open(path) as weights:
        assert [weights.spec(one.spec.name) for one in tensors] == [one.spec for one in tensors]
        assert (weights.native_rows(["x.weight"]) is None) == (name in NAMES[-2:])
        np.testing.assert_array_equal(weights.tensor(name).values(), codes)
        ranges = weights.moving_ranges([name])
    assert ranges == [(ranges[0][0], tensors[0].spec.codes_bytes)]


def test_rows_that_are_not_there_are_refused(tmp_path):
    with ArrowFile.open(forge(tmp_path / "weights.arrow")) as file:
        table = WeightTable(file.batch(0).native)
        for row in (-1, 2):
            with pytest.raises(InvalidArgumentError):
                table.describe(row)
