"""remember FILE...: by what is in a file; recall by an image or a sound."""

from __future__ import annotations

import io
import os
import wave
from pathlib import Path

import numpy as np
import pytest

from arrowmind.faces.passages import PASSAGE_WORDS, passages
from arrowmind.memory import MemoryStore

PNG = b"\x89PNG\r\n\x1a\n"


def sound():
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(b"\1\0" * 160)
    return data.getvalue()


@pytest.fixture
def senses(words, monkeypatch):
    """The engine of words sees images by the bytes after their signature, and hears all sounds alike."""
    from tests.cli.conftest import WordEngine

    def encode_image(self, images):
        if any(b"broken" in data for data in images):
            from arrowmind.errors import InvalidArgumentError

            raise InvalidArgumentError("damaged image")
        return self.encode([data[len(PNG) :].decode("latin-1") for data in images])

    monkeypatch.setattr(WordEngine, "encode_image", encode_image, raising=False)
    monkeypatch.setattr(
        WordEngine, "encode_audio", lambda self, sounds: np.ones((len(sounds), 64)), raising=False
    )
    return words


def records():
    with MemoryStore("memory", create=False) as store:
        return store.newest(1000)[::-1]


def test_files_folders_and_texts(call, senses, monkeypatch):
    Path("in/deep").mkdir(parents=True)
    Path("in/note.md").write_text("The key lies under the blue pot.\n")
    Path("in/cat.weird").write_bytes(PNG + b"red cat\xff")
    Path("in/.hidden").write_text("hidden")
    Path("in/deep/beep.wav").write_bytes(sound())
    Path("in/blob.bin").write_bytes(b"\x00\x01\x02\xff" * 100)
    Path("in/empty").write_text(" \n")
    outcome = call(
        "remember", "in", "a text", "--category", "x", "--json", "--image-model", "m", "--audio-model", "m"
    )
    assert outcome.code == 0
    assert outcome.json["skipped"] == ["in/blob.bin", "in/empty"]
    assert "skipped in/blob.bin: is no text in UTF-8, no image and no sound" in outcome.stderr
    assert "skipped in/empty: is empty" in outcome.stderr
    found = records()
    assert [(one.text, one.modalities, one.metadata.get("file")) for one in found] == [
        ("", ("image",), "in/cat.weird"),
        ("The key lies under the blue pot.", ("text",), "in/note.md"),
        ("a text", ("text",), None),
    ]
    assert {one.category for one in found} == {"x"}
    assert found[1].metadata["modified"].startswith("20")
    assert call("remember", "in/deep", "--recursive", "--audio-model", "m", "--json").json["count"] == 1
    assert call("remember", "in", "-r", "--json", "--store", "all").json["count"] == 3


def test_recall_by_an_image_and_a_sound(call, senses):
    for name in ("red cat", "blue car"):
        Path(f"{name}.png").write_bytes(PNG + name.encode() + b"\x01")
    Path("beep").write_bytes(sound())
    call("remember", "red cat.png", "blue car.png", "beep", "--image-model", "m", "--audio-model", "m")
    outcome = call("recall", "--image", "blue car.png", "--image-model", "m", "--json", "-k", "1")
    assert outcome.json["hits"][0]["record"]["metadata"]["file"] == "blue car.png"
    assert outcome.json["image"] == "blue car.png"
    shown = call("recall", "--audio", "beep", "--set", "memory.audio_model=m", "-k", "1").stdout
    assert "[audio/wav, 364 B]" in shown
    assert "(beep)" in shown
    assert call("recall", "--image", "none.png").code == 2
    assert "takes no --image" in call("recall", "--image", "beep", "--words-only").stderr
    assert "nothing to look for" in call("recall").stderr
    assert "--image needs a model" in call("recall", "--image", "red cat.png").stderr


def test_a_word_that_is_a_file_too(call, words):
    Path("word").write_text("inside")
    call("remember", "word", "--text", "--store", "other")
    call("remember", "word", "--store", "other")
    assert [hit["text"] for hit in call("recall", "word", "--store", "other", "--json").json["hits"]] == [
        "word",
        "inside",
    ]


def test_odd_words_are_texts(call, words):
    texts = ["x" * 5000, "a\0b", "~", "  ./ "]
    assert call("remember", *texts, "--json").json["count"] == 4
    assert [one.text for one in records()] == texts


def test_standard_input_as_one_content(call, words):
    assert call("remember", "-", "--json", stdin="line one\nline two\n").json["count"] == 1
    assert records()[0].text == "line one\nline two"


def test_a_damaged_image_stops_nothing(call, senses):
    Path("a.png").write_bytes(PNG + b"broken\xff")
    Path("b.txt").write_text("fine")
    outcome = call("remember", "a.png", "b.txt", "--image-model", "m", "--json")
    assert (outcome.code, outcome.json["skipped"], outcome.json["count"]) == (0, ["a.png"], 1)
    assert "skipped a.png: damaged image" in outcome.stderr
    assert call("remember", "a.png", "--image-model", "m").code == 1


def test_a_store_within_a_folder_is_left_out(call, words):
    Path("here").mkdir()
    Path("here/note").write_text("a note")
    call("remember", "first", "--store", "here/store")
    outcome = call("remember", "here", "-r", "--store", "here/store", "--json")
    assert outcome.json["count"] == 1
    assert "skipped here/store: is a memory store" in outcome.stderr


def test_a_pipe_is_not_waited_for(call, words):
    os.mkfifo("pipe")
    outcome = call("remember", "pipe")
    assert outcome.code == 1
    assert "skipped pipe: is no regular file" in outcome.stderr


def test_text_that_begins_like_a_picture(call, words):
    Path("cars").write_text("BMW and Audi")
    call("remember", "cars")
    assert records()[0].text == "BMW and Audi"


def test_a_long_file_becomes_passages(call, words):
    paragraphs = [" ".join(f"w{p}x{i}" for i in range(120)) for p in range(9)]
    Path("long.txt").write_text("\n\n".join(paragraphs))
    call("remember", "long.txt")
    found = records()
    assert [one.metadata["part"] for one in found] == list(range(1, len(found) + 1))
    assert {one.metadata["parts"] for one in found} == {len(found)}
    assert "\n\n".join(one.text for one in found) == "\n\n".join(paragraphs)
    assert [one.metadata["line"] for one in found] == [1, 5, 9, 13, 17]


@pytest.mark.parametrize(
    "text",
    [
        "a " * 5000,
        "x" * 100_000,
        "".join(chr(0x4E00 + i % 500) + ("\u3002" if i % 17 == 0 else "") for i in range(20_000)),
        "\n\n\n".join("line " * 7 for _ in range(300)),
        " \n " * 10_000,
        "",
    ],
)
def test_passages_lose_nothing(text):
    found = list(passages(text))
    assert "".join("".join(one.text for one in found).split()) == "".join(text.split())
    assert all(len(one.text.split()) <= PASSAGE_WORDS and one.text.strip() == one.text for one in found)
    assert all(len(one.text) <= PASSAGE_WORDS * 16 for one in found)
