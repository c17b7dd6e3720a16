"""Tensors of a model folder over a private mapping of its file; embeddings as tensors."""

from __future__ import annotations

import gc
import hashlib
import os
import threading

import numpy as np
import pytest
from tests.reference import folder

torch = pytest.importorskip("torch")

from arrowmind import ArrowEngine, ArrowQuantizer, QuantizationConfig  # noqa: E402
from arrowmind.errors import IntegrityError, WeightError  # noqa: E402
from arrowmind.torch import encode, tensors  # noqa: E402
from arrowmind.torch.private import open_private  # noqa: E402
from arrowmind.weights import convert_model, open_weights, write_weights  # noqa: E402
from arrowmind.weights.tensor import float_tensor  # noqa: E402

pytestmark = pytest.mark.torch

VECTOR = "encoder.layer.0.attention.output.LayerNorm.bias"
MATRIX = "encoder.layer.0.intermediate.dense.weight"
TABLE = "embeddings.word_embeddings.weight"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("tensors")
    convert_model(folder.write(path / "hf", folder.weights()), path / "model")
    return path / "model"


@pytest.fixture
def model(original, tmp_path):
    import shutil

    return shutil.copytree(original, tmp_path / "model")


def digest(model):
    return hashlib.sha256((model / "weights.arrow").read_bytes()).hexdigest()


def test_every_tensor_has_its_values(model):
    found = tensors(model)
    wanted = folder.weights()
    assert set(found) == set(wanted)
    assert len(found) == len(wanted)
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name].numpy(), values, err_msg=name)


def test_floats_in_order_are_views(model):
    found = tensors(model)
    assert found.is_view(VECTOR)
    assert found.is_view(TABLE)
    assert found[TABLE].data_ptr() == found[TABLE].data_ptr()
    assert not found.is_view(MATRIX)  # packed for kernels


def test_half_precision_is_a_view(tmp_path):
    values = np.linspace(-1, 1, 48, dtype=np.float16).reshape(6, 8)
    write_weights(tmp_path / "weights.arrow", [float_tensor("x.embedding.weight", values)])
    found = tensors(tmp_path)
    assert found.is_view("x.embedding.weight")
    assert found["x.embedding.weight"].dtype == torch.float16
    np.testing.assert_array_equal(found["x.embedding.weight"].numpy(), values)


def test_a_write_reaches_neither_the_file_nor_another_reader(model):
    before = digest(model)
    found, other = tensors(model), tensors(model)
    found[TABLE].zero_()
    assert float(found[TABLE].abs().max()) == 0  # seen in every tensor over these bytes
    assert float(other[TABLE].abs().max()) > 0
    with open_weights(model) as weights:
        assert np.abs(weights.tensor(TABLE).to_float32()).max() > 0
    assert digest(model) == before


def test_the_mapping_lives_as_long_as_a_tensor(model):
    wanted = folder.weights()[VECTOR]
    found = tensors(model)
    view = found[VECTOR]
    (model / "weights.arrow").unlink()
    found.source.close()
    del found
    gc.collect()
    np.testing.assert_array_equal(view.numpy(), wanted)
    half = view[::2]
    del view
    gc.collect()
    np.testing.assert_array_equal(half.numpy(), wanted[::2])


def test_damage_is_found_before_a_tensor_is_handed_out(model):
    with open_weights(model) as weights:
        offset = weights.offset(TABLE)
    with (model / "weights.arrow").open("r+b") as file:
        file.seek(offset)
        file.write(b"\x55")
    # The first chunk of the file's tree holds the index and, here, the table: either finds it.
    with pytest.raises(IntegrityError, match=r"checksum|SHA-256"):
        tensors(model)[TABLE]


def test_unknown_names(model):
    found = tensors(model)
    assert "nothing" not in found
    assert 3 not in found
    with pytest.raises(KeyError, match="has no tensor 'nothing'"):
        found["nothing"]
    assert found.get("nothing") is None


def test_other_kinds_of_files_are_copied(tmp_path):
    found = tensors(folder.write(tmp_path / "hf", folder.weights()))
    assert not found.is_view(VECTOR)
    np.testing.assert_array_equal(found[VECTOR].numpy(), folder.weights()[VECTOR])
    np.testing.assert_array_equal(found[MATRIX].numpy(), folder.weights()[MATRIX])


@pytest.mark.parametrize("quant_type", ["fp32", "int8", "int4", "int2"])
def test_layers_of_a_file_compute_on_the_mapping(model, tmp_path, quant_type):
    if quant_type != "fp32":
        config = QuantizationConfig(quant_type=quant_type, cosine_mean=-1, cosine_min=-1, overlap_at_10=0)
        ArrowQuantizer(config).quantize(model, tmp_path / "small")
        model = tmp_path / "small"
    found = tensors(model)
    layer = found.linear(MATRIX)
    values = found.source.real_values(MATRIX)
    x = torch.randn(5, values.shape[1], generator=torch.Generator().manual_seed(1))
    wanted = x @ torch.from_numpy(values).T + found[MATRIX.replace("weight", "bias")]
    with torch.no_grad():
        torch.testing.assert_close(layer(x), wanted, rtol=0, atol=0.06)
    assert torch.equal(layer.dequantize(), torch.from_numpy(values))
    again = found.linear(MATRIX)
    assert layer.codes.data_ptr() == again.codes.data_ptr()
    before = digest(model)
    for buffer in layer.buffers():
        buffer.zero_()
    assert digest(model) == before


def test_a_layer_needs_a_matrix(model):
    with pytest.raises(WeightError, match="no packed matrix"):
        tensors(model).linear(TABLE)
    with pytest.raises(WeightError, match="has no tensor"):
        tensors(model).linear("nothing.weight")


def test_a_file_that_is_replaced_while_it_is_opened(tmp_path):
    path = tmp_path / "weights.arrow"
    stop = threading.Event()

    def publish(number):
        values = np.full(1000 + number, number, np.float32)
        write_weights(path, [float_tensor(f"v{number % 2}", values)])

    def replace():
        number = 0
        while not stop.is_set():
            publish(number := number + 1)

    publish(0)
    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for _ in range(60):
            try:
                weights, mapping = open_private(path)
            except WeightError as error:
                assert "was replaced" in str(error)
                continue
            (name,) = weights.names()
            offset, size = weights.offset(name), weights.spec(name).codes_bytes
            assert mapping[offset : offset + size] == weights.tensor(name).codes.tobytes()
    finally:
        stop.set()
        thread.join()


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "weights.arrow")
    with pytest.raises(WeightError, match="not a regular file"):
        open_private(tmp_path / "weights.arrow")
    with pytest.raises(WeightError, match="cannot be opened"):
        open_private(tmp_path / "nothing.arrow")


def test_embeddings_are_not_copied(model, monkeypatch):
    engine = ArrowEngine(model)
    made = {}
    run = engine.encode

    def keep(*arguments):
        made["array"] = run(*arguments)
        return made["array"]

    monkeypatch.setattr(engine, "encode", keep)
    found = encode(engine, ["a b", "c"])
    assert found.data_ptr() == made["array"].__array_interface__["data"][0]
    assert found.shape == (2, engine.dimension)
    found += 1  # it may be written to
