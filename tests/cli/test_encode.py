from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from arrowmind.columnar import ArrowFile

pytestmark = pytest.mark.usefixtures("words")


def test_as_json(call):
    outcome = call("encode", "m", "a b", "c", "--json")
    assert (outcome.json["count"], outcome.json["dimension"]) == (2, 64)
    vectors = np.array(outcome.json["embeddings"], np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


def test_as_text(call):
    assert call("encode", "m", "hello").stdout.endswith(", ...]  hello\n")


def test_raw_vectors_are_not_scaled(call):
    vectors = np.array(call("encode", "m", "a b c", "--raw", "--json").json["embeddings"])
    assert np.linalg.norm(vectors) > 1.5


def test_to_files(call):
    assert call("encode", "m", "a b", "c", "--output", "x.npy").code == 0
    assert call("encode", "m", "a b", "c", "--output", "x.arrow", "--quiet").code == 0
    vectors = np.load("x.npy", allow_pickle=False)
    assert vectors.shape == (2, 64)
    with ArrowFile.open("x.arrow") as file:
        assert file.metadata["arrowmind.model"] == "m"
        assert file.batch(0).strings("text") == ["a b", "c"]
        np.testing.assert_array_equal(file.batch(0).numbers("embedding"), vectors)


def test_from_file_and_pipe(call):
    Path("texts").write_text("one\ntwo\n\n")
    assert call("encode", "m", "--file", "texts", "--json").json["count"] == 2
    assert call("encode", "m", "--json", stdin="one\ntwo\nthree\n").json["count"] == 3


def test_an_unusable_output_is_found_before_the_work(call, words):
    outcome = call("encode", "m", "a", "--output", "x.txt")
    assert outcome.code == 1
    assert "must end in .npy or .arrow" in outcome.stderr
    assert not words


def test_settings_choose_device_and_threads(call, words):
    call("encode", "m", "a", "--set", "device.threads=3")
    assert (words[0].path, words[0].device, words[0].threads) == ("m", "cpu", 3)


def test_a_device_that_is_not_there(call, words):
    outcome = call("encode", "m", "a", "--set", "device.name=cuda")
    assert outcome.code == 0
    assert "fallback" in outcome.stderr
    assert words[0].device == "cpu"
    outcome = call("encode", "m", "a", "--set", "device.name=cuda", "--set", "device.fallback=error")
    assert outcome.code == 1
    assert "cuda" in outcome.stderr


def test_a_missing_model(shell):
    outcome = shell("encode", "missing", "a")
    assert outcome.code == 1
    assert "missing" in outcome.stderr
    assert "Traceback" not in outcome.stderr
