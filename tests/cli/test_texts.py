from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from arrowmind.cli.texts import count_lines, read_json_lines, read_lines, read_texts
from arrowmind.errors import InvalidArgumentError


@pytest.fixture
def pipe(monkeypatch):
    def fill(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return fill


def file_with(data):
    path = Path("texts")
    path.write_bytes(data)
    return path


def test_words_win_over_a_silent_pipe(pipe):
    pipe(b"")
    assert read_texts(["a", ""], None) == ["a", ""]


def test_lines_of_a_file_or_pipe(pipe):
    data = b"\xef\xbb\xbffirst\r\n\n   \n second \n\xe4\xbd\xa0"
    assert read_texts([], file_with(data)) == ["first", " second ", "你"]
    pipe(data)
    assert read_texts([], Path("-")) == ["first", " second ", "你"]
    assert count_lines(Path("texts")) == 3
    assert count_lines(Path("-")) == count_lines(None) == count_lines(Path("missing")) == 0


@pytest.mark.parametrize(
    ("data", "part"),
    [(b"fine\n\xff\n", "line 2: not UTF-8 at byte 0"), (b"x" * (17 << 20), "line 1: longer than")],
)
def test_unusable_lines(data, part):
    with pytest.raises(InvalidArgumentError, match=part):
        list(read_lines(file_with(data)))


def test_words_and_file_exclude_each_other():
    with pytest.raises(InvalidArgumentError, match="use one of the two"):
        read_texts(["a"], Path("b"))


def test_nothing_on_a_terminal_is_an_error(monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    with pytest.raises(InvalidArgumentError, match="no text was given"):
        list(read_lines(None))


def test_json_lines():
    rows = list(read_json_lines(file_with(b'{"text": "a", "category": "x"}\n\n{"text": "b"}\n')))
    assert rows == [{"text": "a", "category": "x"}, {"text": "b"}]


@pytest.mark.parametrize(
    "line", [b"{", b"[1]", b'{"txt": 1}', b'{"text": 3}', b"[" * 100_000, b'{"text": "a"} x', b"NaN"]
)
def test_bad_json_lines(line):
    with pytest.raises(InvalidArgumentError, match="texts, line 1: "):
        list(read_json_lines(file_with(line)))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(InvalidArgumentError, match=f"{path} cannot be read .*name a file of texts"):
            read_texts([], path)
