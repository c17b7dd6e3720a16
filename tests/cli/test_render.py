from __future__ import annotations

import io
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrowmind.cli.render import bytes_text, print_table, printable, write


@settings(derandomize=True)
@given(st.text())
def test_printable_never_steers_a_terminal(text):
    shown = printable(text)
    for character in shown:
        harmless = character in "\n\t\u200b\u200c\u200d\u00ad"
        assert harmless or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
    shown.encode("utf-8")


@pytest.mark.parametrize("text", ["plain", "Grüße 你好 🎉", "two\nlines\ttab", "family 👩\u200d👩"])
def test_printable_leaves_text_alone(text):
    assert printable(text) == text


def test_write_survives_a_narrow_encoding(monkeypatch):
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="ascii"))
    write("ä\ud800你")
    sys.stdout.flush()
    assert buffer.getvalue() == b"\\xe4\\ud800\\u4f60\n"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (22_749_000, "22.7 MB"),
        (125e9, "125 GB"),
        (9e15, "9000000 GB"),
    ],
)
def test_bytes(count, text):
    assert bytes_text(count) == text


def test_tables(capsys, monkeypatch):
    print_table([("a", "b" * 300), ("long", "[red]\x1b")], ("x", "y"))
    assert capsys.readouterr().out == f"x     y\na     {'b' * 300}\nlong  [red]\\x1b\n"
    print_table([])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    print_table([("a", "b"), ("long", "[red]")], ("x", "y"))
    assert "[red]" in capsys.readouterr().out
