"""The engine end to end on a tiny model: right, the same for any batch, and clear about what it cannot do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from tests.reference import bert, folder
from tests.reference import tokenizer as reference_tokenizer

import arrowmind
from arrowmind import ArrowEngine
from arrowmind.errors import (
    DeviceError,
    IntegrityError,
    InvalidArgumentError,
    OptimizationError,
    TokenizerError,
    WeightError,
)
from arrowmind.weights import convert_model

TEXTS = [
    "the cat sat on the mat.",
    "",
    "a dog",
    "the dog ran far away, and back!",
    "cat " * 60,
    "mat\0mat",
    "猫 ran",
]


@pytest.fixture(scope="module")
def weights():
    return folder.weights()


@pytest.fixture(scope="module")
def original(tmp_path_factory, weights):
    return folder.write(tmp_path_factory.mktemp("original") / "tiny", weights)


@pytest.fixture(scope="module")
def model(tmp_path_factory, original):
    path = tmp_path_factory.mktemp("models") / "tiny"
    convert_model(original, path)
    return path


@pytest.fixture(scope="module")
def engine(model):
    return ArrowEngine(model, threads=2)


def expected(weights, texts, **options):
    tokenizer = reference_tokenizer.build()
    tokenizer.enable_truncation(folder.MAX_TOKENS)
    return np.stack(
        [bert.embed(weights, tokenizer.encode(text).ids, folder.HEADS, **options) for text in texts]
    )


@pytest.mark.parametrize("normalize", [True, False])
def test_encode_matches_the_reference(engine, weights, normalize):
    wanted = expected(weights, TEXTS, normalise=normalize)
    found = engine.encode(TEXTS, normalize=normalize)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=0, atol=3e-5 * np.abs(wanted).max())


def test_cls_pooling(tmp_path, weights):
    folder.write(tmp_path / "original", weights, pooling="cls")
    convert_model(tmp_path / "original", tmp_path / "cls")
    wanted = expected(weights, TEXTS, pooling="cls")
    np.testing.assert_allclose(ArrowEngine(tmp_path / "cls").encode(TEXTS), wanted, rtol=0, atol=3e-5)


@pytest.mark.parametrize("formats", [["native"], ["parquet-v1"], ["parquet-v2"], ["safetensors"]])
def test_every_kind_of_weight_file_gives_the_same_embeddings(tmp_path, original, engine, formats):
    convert_model(original, tmp_path / "model", formats=formats)
    if "native" not in formats:
        (tmp_path / "model" / "weights.arrow").unlink(missing_ok=True)
    np.testing.assert_array_equal(ArrowEngine(tmp_path / "model").encode(TEXTS), engine.encode(TEXTS))


def test_a_hugging_face_folder_runs_as_it_is(original, engine):
    np.testing.assert_array_equal(ArrowEngine(original).encode(TEXTS), engine.encode(TEXTS))


@pytest.mark.parametrize("batch_size", [1, 2, 5, None])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_same_bits_for_any_batch_and_threads(model, engine, batch_size, threads):
    alone = np.concatenate([engine.encode(text) for text in TEXTS])
    many = ArrowEngine(model, threads=threads).encode(TEXTS * 3, batch_size=batch_size)
    np.testing.assert_array_equal(many, np.concatenate([alone] * 3))


def test_one_string_gives_one_row(engine):
    assert engine.encode("the cat").shape == (1, engine.dimension)


def test_an_empty_list_gives_no_rows(engine):
    assert engine.encode([]).shape == (0, engine.dimension)


def test_a_megabyte_and_lone_surrogates_are_texts(engine):
    vectors = engine.encode(["cat " * 250_000, "\ud800 cat", "\udfff" * 10])
    assert np.isfinite(vectors).all()


def test_calls_from_many_threads(engine):
    wanted = engine.encode(TEXTS)
    found = {}

    def work(index):
        found[index] = [engine.encode(TEXTS) for _ in range(4)]

    workers = [threading.Thread(target=work, args=(index,)) for index in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for results in found.values():
        for result in results:
            np.testing.assert_array_equal(result, wanted)
    assert len(found) == 5


@pytest.mark.parametrize("texts", [None, 7, b"bytes", ["a", None], ["a", 3.5]])
def test_what_is_no_text_is_refused(engine, texts):
    with pytest.raises(InvalidArgumentError, match=r"texts"):
        engine.encode(texts)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batch_size_is_checked(engine, batch_size):
    with pytest.raises(InvalidArgumentError, match="batch_size"):
        engine.encode(["a"], batch_size=batch_size)


@pytest.mark.parametrize("threads", [0, -3, 5000])
def test_threads_are_checked(model, threads):
    with pytest.raises(InvalidArgumentError, match="threads"):
        ArrowEngine(model, threads=threads)


@pytest.mark.parametrize("device", ["cuda", "rocm", "vulkan", "mps", "gpu", ""])
def test_devices_that_cannot_be_had(model, device, monkeypatch, tmp_path):
    monkeypatch.setenv("ARROWMIND_DEVICE_FALLBACK", "error")
    monkeypatch.setenv("ARROWMIND_DEVICE_BACKENDS", str(tmp_path))
    with pytest.raises(DeviceError, match="device"):
        ArrowEngine(model, device=device)


def test_info_tells_what_runs(engine, model):
    info = engine.info()
    assert info["family"] == "bert"
    assert (info["dimension"], info["max_tokens"], info["threads"]) == (48, folder.MAX_TOKENS, 2)
    assert info["path"] == str(model)
    assert (info["device"], info["device_details"]["name"]) == ("cpu", arrowmind._native.cpu_brand())
    assert all(name in {row["name"] for row in arrowmind._native.kernels()} for name in info["kernels"])
    json.dumps(info)


def test_progress_is_drawn_when_asked_for(engine, capsys):
    engine.encode(TEXTS, show_progress=True)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "weights.arrow"])
def test_a_missing_file_is_named(tmp_path, model, missing):
    shutil.copytree(model, tmp_path / "broken")
    (tmp_path / "broken" / missing).unlink()
    with pytest.raises((WeightError, TokenizerError), match=missing.replace(".", r"\.")):
        ArrowEngine(tmp_path / "broken")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(WeightError, match="is not a folder"):
        ArrowEngine(tmp_path / "nothing")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_weights(tmp_path, model, share):
    shutil.copytree(model, tmp_path / "broken")
    data = (model / "weights.arrow").read_bytes()
    (tmp_path / "broken" / "weights.arrow").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(IntegrityError):
        ArrowEngine(tmp_path / "broken")


def test_a_flipped_bit_in_a_matrix_is_found(tmp_path, model, engine):
    shutil.copytree(model, tmp_path / "broken")
    path = tmp_path / "broken" / "weights.arrow"
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(5)
    refused = 0
    for position in rng.integers(0, len(data), 60):
        data[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        try:
            ArrowEngine(tmp_path / "broken").encode(TEXTS)
        except OptimizationError:
            refused += 1
    assert refused > 0


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"hidden_size": 96, "num_attention_heads": 6}, "needs at least"),
        ({"vocab_size": 10_000}, "needs at least"),
        ({"intermediate_size": 1}, None),
        ({"num_hidden_layers": 9}, "has no tensor"),
        ({"model_type": "gpt5"}, "is not supported"),
        ({"arrowmind": {"pooling": "max"}}, "pooling"),
        ({"arrowmind": {"max_tokens": -1}}, "max_tokens"),
    ],
)
def test_a_configuration_that_does_not_fit_the_weights(tmp_path, model, change, what):
    shutil.copytree(model, tmp_path / "broken")
    path = tmp_path / "broken" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    if what is None:
        ArrowEngine(tmp_path / "broken").encode("cat")
        return
    with pytest.raises(WeightError, match=what):
        ArrowEngine(tmp_path / "broken")


def test_the_fingerprint_follows_what_decides_a_vector(tmp_path, model, engine):
    assert ArrowEngine(model, threads=1).fingerprint == engine.fingerprint
    shutil.copytree(model, tmp_path / "other")
    path = tmp_path / "other" / "config.json"
    values = json.loads(path.read_text())
    values["arrowmind"]["pooling"] = "cls"
    path.write_text(json.dumps(values))
    assert ArrowEngine(tmp_path / "other").fingerprint != engine.fingerprint


def test_encoding_needs_neither_torch_nor_pyarrow(model):
    code = (
        "import sys, arrowmind; arrowmind.ArrowEngine(sys.argv[1]).encode(['the cat'])\n"
        "heavy = ('torch', 'pyarrow', 'pandas', 'yaml', 'rich', 'psutil', 'flatbuffers', 'structlog',"
        " 'arrowmind.columnar.writer')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(model)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_optimize_off_keeps_activations_in_float(model, weights):
    wanted = expected(weights, TEXTS)
    np.testing.assert_allclose(ArrowEngine(model, optimize=False).encode(TEXTS), wanted, rtol=0, atol=3e-5)


def test_rows_of_a_table_are_compared_when_a_text_needs_them(model, tmp_path):
    """The word table is not read on opening: damage in it is found by the first text that touches it."""
    from arrowmind.weights import WeightFile, write_weights
    from arrowmind.weights.manifest import refresh_entry
    from arrowmind.weights.tensor import float_tensor

    folder_ = tmp_path / "damaged"
    shutil.copytree(model, folder_)
    path = folder_ / "weights.arrow"
    with WeightFile.open(path) as file:  # the table in a chunk of its own, away from the index
        word = "embeddings.word_embeddings.weight"
        rooms = [float_tensor(f"room.{i}.bias", np.zeros(65536, np.float32)) for i in range(2)]
        others = [file.tensor(name) for name in file.names() if name != word]
        write_weights(path, [rooms[0], file.tensor(word), rooms[1], *others], file.documents)
    refresh_entry(path)
    with WeightFile.open(path) as file:
        place = file.offset("embeddings.word_embeddings.weight")
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))
    damaged = ArrowEngine(folder_, threads=2)
    for _ in range(2):
        with pytest.raises(
            IntegrityError, match=r"weights\.arrow: tensor 'embeddings\.word_embeddings\.weight': bytes"
        ):
            damaged.encode(TEXTS)
    config = arrowmind.config.load_config(overrides={"weights.verify": "off"})
    ArrowEngine(folder_, threads=2, config=config).encode(TEXTS)
    config = arrowmind.config.load_config(overrides={"weights.verify": "full"})
    with pytest.raises(IntegrityError, match="hash tree"):
        ArrowEngine(folder_, threads=2, config=config)
