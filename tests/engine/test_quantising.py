"""Matrices on grids, from the quantiser into a file and through the engine."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from tests.reference import folder

from arrowmind import ArrowEngine, ArrowQuantizer, QuantizationConfig
from arrowmind.errors import InvalidArgumentError, WeightError
from arrowmind.quantize import explain
from arrowmind.quantize.matrix.codes import codes_of
from arrowmind.quantize.matrix.feedback import round_plainly
from arrowmind.weights import convert_model, open_weights
from arrowmind.weights.formats import Grid
from arrowmind.weights.manifest import write_manifest
from arrowmind.weights.tensor import grid_tensor
from arrowmind.weights.writer import write_weights

TEXTS = ["the cat sat on the mat.", "a dog", "the dog ran far away, and back!", "", "cat " * 30]
# Biases and norms are a large part of so small a model.
BITS = 6.5
LOW = {"cosine_mean": 0.0, "cosine_min": -1.0, "overlap_at_10": 0.0}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    convert_model(folder.write(path / "original", folder.weights()), path / "tiny")
    return path / "tiny"


def cosines(model, path, **options):
    calls = []
    config = QuantizationConfig(**LOW, **options)
    ArrowQuantizer(config, calibration_texts=TEXTS).quantize(
        model, path, progress=lambda done, total, what: calls.append((done, total, what))
    )
    assert calls
    assert all(done <= total for done, total, _ in calls)
    return (ArrowEngine(path).encode(TEXTS) * ArrowEngine(model).encode(TEXTS)).sum(axis=1)


@pytest.mark.parametrize(
    ("options", "least"),
    [
        ({"quant_type": "int4"}, 0.99),
        ({"quant_type": "int4", "activation": "fp32", "zero_points": False, "scale_type": "u8"}, 0.98),
        ({"quant_type": "int4", "group_size": 0, "scale_type": "fp32", "zero_points": False}, 0.95),
        ({"quant_type": "int2", "group_size": 16}, 0.7),
        ({"quant_type": "fp4"}, 0.97),
        ({"quant_type": "fp4", "group_size": 16}, 0.97),
        ({"quant_type": "int4", "table_type": "int4"}, 0.95),
        ({"symmetric": True, "pair_bound": True}, 0.999),
    ],
    ids=str,
)
@pytest.mark.parametrize("calibration", ["ptq", "gptq"])
def test_grids_reach_the_engine(model, tmp_path, options, least, calibration):
    found = cosines(model, tmp_path / "q", calibration=calibration, **options)
    print(found)
    assert found.mean() >= least - (0.25 if calibration == "ptq" else 0)
    config = QuantizationConfig(**options)
    with open_weights(tmp_path / "q") as weights:
        types = weights.describe()["quant_types"]
        assert types[config.quant_type] >= 12
        assert weights.documents["quantization"]["calibration"] == calibration


def test_a_budget_mixes_widths(model, tmp_path):
    options = {"calibration": "gptq", "quant_type": "int2", "bits_budget": BITS}
    mixed = cosines(model, tmp_path / "mixed", **options)
    narrow = cosines(model, tmp_path / "narrow", calibration="gptq", quant_type="int2")
    print(mixed, narrow)
    assert mixed.mean() > narrow.mean()
    with open_weights(tmp_path / "mixed") as weights:
        specs = [weights.spec(name) for name in weights.names()]
        matrices = [spec for spec in specs if spec.name.startswith("encoder") and len(spec.shape) == 2]
        assert len({spec.quant_type for spec in matrices}) > 1
    found = explain(tmp_path / "mixed").without_tables.bits_per_weight
    assert BITS - 0.7 < found <= BITS


def test_a_size_budget_is_of_the_whole_file(model, tmp_path):
    whole = sum(path.stat().st_size for path in [model / "weights.arrow"])
    cosines(model, tmp_path / "sized", calibration="gptq", quant_type="int2", size_budget=whole // 3)
    with open_weights(tmp_path / "sized") as weights:
        stored = sum(
            buffer.nbytes
            for name in weights.names()
            for buffer in weights.tensor(name).buffers()
            if buffer is not None
        )
    assert stored <= whole // 3 * 1.02


@pytest.mark.parametrize("kind", ["trellis2", "trellis3"])
def test_tables_take_no_trellis_codes(model, tmp_path, kind):
    with pytest.raises(InvalidArgumentError, match="use int8 or int4 or int2"):
        QuantizationConfig(quant_type=kind, table_type=kind)
    made = tmp_path / "made"
    shutil.copytree(model, made)
    table = "embeddings.word_embeddings.weight"
    with open_weights(model) as weights:
        columns = np.ascontiguousarray(weights.real_values(table).T)
        codes = codes_of(round_plainly(columns, Grid(kind, 32), np.ones(len(columns), np.float32)))
        coded = grid_tensor(table, codes, activation="fp32")
        tensors = [coded if name == table else weights.tensor(name) for name in weights.names()]
        write_weights(made / "weights.arrow", tensors, weights.documents)
    write_manifest(made)
    with pytest.raises(WeightError, match=f"{table} is stored as {kind}.* table_type int8, int4 or int2"):
        ArrowEngine(made)
