"""Damaged and lying weight files: one clear error, never a crash, a hang or wrong numbers."""

from __future__ import annotations

import numpy as np
import pytest
from tests.weights.forge import forge

from arrowmind.columnar import Field
from arrowmind.errors import IntegrityError, WeightError
from arrowmind.weights import WeightFile, convert_model, open_weights, verify_model
from arrowmind.weights.schema import FIELDS

HUGE = 2**31 - 1


def read_all(path) -> dict[str, np.ndarray]:
    with WeightFile.open(path) as weights:
        weights.verify()
        return {name: weights.tensor(name).to_float32() for name in weights.names()}


def test_the_forger_can_write_an_honest_file(tmp_path):
    assert set(read_all(forge(tmp_path / "weights.arrow"))) == {"layer.weight", "layer.bias"}


LIES = {
    "negative dimension": ({"spec": {"shape": (-18, 6)}}, "dimension below 1"),
    "no rows": ({"spec": {"shape": (0, 6)}}, "dimension below 1"),
    "huge shape": ({"spec": {"shape": (HUGE, HUGE)}}, "256 bytes of codes are declared"),
    "another shape": ({"spec": {"shape": (18, 12)}}, "has 384"),
    "three dimensions": ({"spec": {"shape": (18, 2, 3)}}, "is for matrices"),
    "scalar code": ({"spec": {"shape": (), "layout": "row", "activation": "fp32"}}, "scalar cannot be int8"),
    "unknown type": ({"spec": {"quant_type": "int3"}}, "quant_type 'int3' is unknown"),
    "unknown layout": ({"spec": {"layout": "n32"}}, "layout 'n32' does not go with int8"),
    "unknown activation": ({"spec": {"activation": "int4"}}, "activation 'int4'"),
    "activation of a float": ({"spec": {"quant_type": "fp32", "layout": "n16"}}, "quant_axis 0 does not go"),
    "axis": ({"spec": {"quant_axis": 1}}, "quant_axis 1 does not go"),
    "same name twice": ({"spec": {"name": "layer.bias"}}, "more than once"),
    "empty name": ({"columns": {"name": ["", "layer.bias"]}}, "lacks a name"),
    "other layer name": ({"columns": {"layer_name": ["x", "layer"]}}, "say 'x.weight'"),
    "sizes": ({"columns": {"codes_bytes": [255, 72]}}, "255 bytes of codes are declared"),
    "negative size": ({"columns": {"codes_bytes": [-1, 72]}}, "-1 bytes of codes are declared"),
    "short codes": (
        {"columns": {"codes": [b"abc", b"abc"]}},
        "checksum of its codes",
    ),
    "no codes": ({"columns": {"codes": [b"", b""]}}, "0 bytes of codes are stored, 256 needed"),
    "no scales": ({"columns": {"scales": [b"", b""]}}, "0 bytes of scales are stored, 128 needed"),
    "few scales": ({"columns": {"scales": [np.ones(16, np.float32), b""]}}, "64 bytes of scales"),
    "scales of a float": ({"columns": {"scales": [np.ones(32, np.float32)] * 2}}, "'layer.bias'.*0 needed"),
    "NaN scale": ({"columns": {"scales": [np.full(32, np.nan, np.float32), b""]}}, "scale is not a finite"),
    "negative scale": ({"columns": {"scales": [np.full(32, -1, np.float32), b""]}}, "scale is not a finite"),
    "zero points": ({"columns": {"zero_points": [np.full(32, 0.5, np.float32), b""]}}, "no whole number"),
    "far zero points": ({"columns": {"zero_points": [np.full(32, 1e9, np.float32), b""]}}, "no whole number"),
    "no sums": ({"columns": {"sums": [b"", b""]}}, "0 bytes of sums"),
    "wrong sums": ({"columns": {"sums": [np.ones(32, np.int32), b""]}}, "sums are not those of its codes"),
    "checksum": ({"columns": {"checksums": np.zeros((2, 5), np.uint32)}}, "checksum of its scales"),
    "index": ({"metadata": {"arrowmind.index_crc32c": "00000000"}}, "checksum of its index"),
    "document": ({"metadata": {"arrowmind.model": "[" * 100_000}}, "checksum of its index"),
    "batches": ({"batches": 2}, "2 record batches"),
    "no batch": ({"batches": 0}, "0 record batches"),
    "format": ({"metadata": {"arrowmind.format": "other"}}, "holds no weights"),
    "newer version": ({"metadata": {"arrowmind.version": "3"}}, "format version '3'.*upgrade"),
    "missing column": ({"fields": FIELDS[:-1]}, "its columns are"),
    "extra column": ({"fields": (*FIELDS, Field("smooth", "float32"))}, "its columns are"),
    "other type": (
        {"fields": (*FIELDS[:11], Field("codes_bytes", "int32"), *FIELDS[12:])},
        "its columns are",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_one_clear_error(lie, tmp_path):
    options, message = LIES[lie]
    path = forge(tmp_path / "weights.arrow", **options)
    with pytest.raises(WeightError, match=f"(?s){message}") as caught:
        read_all(path)
    assert str(path) in str(caught.value)


def test_documents_that_are_no_objects(tmp_path):
    from arrowmind.weights.schema import decode_documents

    for text in ("[" * 100_000, "[]", "{", "nul"):
        with pytest.raises(IntegrityError, match="model"):
            decode_documents({"arrowmind.model": text}, "file")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    from tests.weights.conftest import tiny_tensors, write_folder

    folder = tmp_path_factory.mktemp("sound")
    convert_model(write_folder(folder / "original", tiny_tensors()), folder / "out")
    path = folder / "out" / "weights.arrow"
    return path.read_bytes(), read_all(path)


def check_damaged(path, data, expected):
    """Either an error of ours, or, where only padding changed, the very same numbers."""
    path.write_bytes(data)
    try:
        found = read_all(path)
    except WeightError:
        return True
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    return False


def test_flipped_bits(sound, tmp_path):
    data, expected = sound
    seed = 11
    print(f"seed {seed}")
    random = np.random.default_rng(seed)
    head = random.integers(0, min(8192, len(data)), 400)
    foot = random.integers(len(data) - 4096, len(data), 150)
    anywhere = random.integers(0, len(data), 150)
    found = 0
    for position in np.concatenate([head, foot, anywhere]):
        damaged = bytearray(data)
        damaged[position] ^= 1 << random.integers(8)
        found += check_damaged(tmp_path / "weights.arrow", bytes(damaged), expected)
    assert found > 200


def test_truncated(sound, tmp_path):
    data, expected = sound
    for size in [*range(0, len(data), 911), *range(len(data) - 40, len(data))]:
        assert check_damaged(tmp_path / "weights.arrow", data[:size], expected), f"{size} bytes"


def test_stretches_of_garbage(sound, tmp_path):
    data, expected = sound
    random = np.random.default_rng(12)
    for _ in range(150):
        begin = int(random.integers(0, len(data) - 8))
        size = int(random.integers(1, 400))
        garbage = random.bytes(min(size, len(data) - begin))
        damaged = data[:begin] + garbage + data[begin + len(garbage) :]
        check_damaged(tmp_path / "weights.arrow", damaged, expected)


def test_codes_are_checked_when_asked_for(sound, tmp_path):
    data, _ = sound
    damaged = bytearray(data)
    path = tmp_path / "weights.arrow"
    path.write_bytes(data)
    name = "encoder.layer.0.output.dense.weight"
    with WeightFile.open(path) as weights:
        damaged[weights.offset(name) + 5] ^= 1
    path.write_bytes(bytes(damaged))
    with WeightFile.open(path, verify="off") as weights:
        tensor = weights.tensor(name)
        with pytest.raises(IntegrityError, match=rf"{name}.*checksum of its codes.*convert or copy"):
            tensor.verify()
        with pytest.raises(IntegrityError):
            tensor.verify()
        weights.tensor("embeddings.word_embeddings.weight").verify()


def test_open_weights_names_what_it_cannot_open(tmp_path):
    cases = {
        "nothing": "cannot be opened",
        "empty": "holds no weights",
        "text": "no Arrow, Parquet or GGUF file",
    }
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("hello")
    for name, message in cases.items():
        with pytest.raises(WeightError, match=message):
            open_weights(tmp_path / name)


def test_an_unknown_tensor_is_answered_with_the_nearest(sound, tmp_path):
    (tmp_path / "weights.arrow").write_bytes(sound[0])
    with (
        open_weights(tmp_path) as weights,
        pytest.raises(WeightError, match=r"did you mean pooler.dense.weight"),
    ):
        weights.tensor("pooler.dens.weight")


def test_verify_names_every_problem(source, tmp_path):
    convert_model(source, tmp_path / "out")
    tokenizer, weights = tmp_path / "out" / "tokenizer.json", tmp_path / "out" / "weights.arrow"
    tokenizer.write_text('{"version": "2.0"}')
    damaged = bytearray(weights.read_bytes())
    with WeightFile.open(weights) as file:
        damaged[file.offset("embeddings.word_embeddings.weight")] ^= 1
    weights.write_bytes(bytes(damaged))
    (tmp_path / "out" / "extra").write_text("x")
    report = verify_model(tmp_path / "out")
    assert not report.ok
    assert len(report.problems) == 2
    assert any("tokenizer.json: has" in problem or "SHA-256 is" in problem for problem in report.problems)
    assert any("weights.arrow: " in problem and "hash tree" in problem for problem in report.problems)
    assert report.notes == ["extra is not in the manifest"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "format None"),
        ('{"format": "arrowmind.model", "version": 1}', "no object files"),
        (
            '{"format": "arrowmind.model", "version": 1, "files": {"../x": {"bytes": 1, "sha256": ""}}}',
            "leaves",
        ),
        ('{"format": "arrowmind.model", "version": 1, "files": {"a": 3}}', "no bytes and sha256"),
        (
            '{"format": "arrowmind.model", "version": 1, "files": {"a": {"bytes": 1, "sha256": ""}}}',
            "missing",
        ),
        ("[1]", "an object is needed"),
        ("{", "not JSON"),
    ],
)
def test_hostile_manifests(content, message, source, tmp_path):
    convert_model(source, tmp_path / "out")
    (tmp_path / "out" / "manifest.json").write_text(content)
    report = verify_model(tmp_path / "out")
    assert len(report.problems) == 1
    assert message in report.problems[0]
