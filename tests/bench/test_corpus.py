"""Sentences from the docstrings of a library."""

from __future__ import annotations

import pytest

from arrowmind.bench import corpus

LONG = "This is a docstring that is long enough to be a passage of its own."


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_passages_have_dotted_names_come_once_and_in_order(tmp_path):
    write(
        tmp_path, "b.py", f'"""{LONG} B."""\nclass C:\n  """{LONG} C."""\n  def m(self):\n    """{LONG} M."""'
    )
    write(tmp_path, "a/__init__.py", f'"""{LONG} A."""\nasync def f():\n  """{LONG} B."""')
    names = [passage.name for passage in corpus.library_passages(tmp_path)]
    assert names == ["a", "a.f", "b.C", "b.C.m"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("short.py", '"""Too short."""'),
        ("broken.py", f'"""{LONG}"""\ndef ('),
        ("nul.py", f'"""{LONG}"""\n\0'),
        ("site-packages/a.py", f'"""{LONG}"""'),
        ("test/a.py", f'"""{LONG}"""'),
    ],
)
def test_files_without_passages(tmp_path, name, text):
    write(tmp_path, name, text)
    assert corpus.library_passages(tmp_path) == ()


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "a.py").write_bytes(b'"""' + LONG.encode() + b'\xff\xfe"""')
    assert corpus.library_passages(tmp_path) == ()


def test_code_tables_and_lists_are_no_sentences():
    text = "A plain sentence\nover two lines.\n\n>>> code()\n\n| 1 | 2 | 3 |\n\na, b, c, d, e, f"
    assert list(corpus._paragraphs(text)) == ["A plain sentence over two lines."]


@pytest.fixture
def paragraphs(monkeypatch):
    """Paragraphs of 1 to 140 words, five of each length."""
    made = [" ".join([f"word{'abcde'[copy]}"] * words) for words in range(1, 141) for copy in range(5)]
    use(monkeypatch, made)
    return made


def use(monkeypatch, texts):
    monkeypatch.setattr(corpus, "library_passages", lambda: tuple(corpus.Passage("", text) for text in texts))


def words(texts):
    return [len(text.split()) for text in texts]


def test_lengths_follow_their_shares(paragraphs):
    lengths = words(corpus.benchmark_sentences(100, words))
    counts = [sum(low <= n <= high for n in lengths) for low, high, _ in corpus.LENGTH_SHARES]
    assert counts == [40, 30, 18, 12]


def test_the_choice_does_not_depend_on_the_order(paragraphs, monkeypatch):
    first = corpus.benchmark_sentences(50, words)
    assert len(set(first)) == 50
    use(monkeypatch, paragraphs[::-1])
    assert corpus.benchmark_sentences(50, words) == first


def test_fewer_come_back_when_there_are_fewer(paragraphs):
    assert len(corpus.benchmark_sentences(10_000, words)) == 5 * (128 - 8 + 1)


def test_a_sentence_of_a_length_or_the_nearest(paragraphs):
    assert words([corpus.sentence_of_tokens(16, words)]) == [16]
    assert words([corpus.sentence_of_tokens(500, words)]) == [140]
