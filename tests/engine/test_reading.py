"""A reader: any way of feeding gives the same, facts far outside the window are found, mistakes are told."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import sys
from pathlib import Path

import pytest
from tests.engine.writers import WINDOW, write_bytes_model

from arrowmind import ArrowEngine
from arrowmind.config import load_config
from arrowmind.engine import cutting
from arrowmind.errors import InvalidArgumentError, MemoryBudgetError, StorageError

SHAPE = {"block_tokens": 16, "window": 64, "recalled": 4, "sinks": 4}
GREEDY = {"max_tokens": 12, "ignore_eos": True}


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    opened = ArrowEngine(write_bytes_model(tmp_path_factory.mktemp("models") / "bytes"), threads=2)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def needles():
    """The model that is built for needles, from the folder of benchmarks."""
    path = Path(__file__).parents[2] / "benchmarks" / "needle_model.py"
    spec = importlib.util.spec_from_file_location("needle_model", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def finder(needles, tmp_path_factory):
    opened = ArrowEngine(needles.make(tmp_path_factory.mktemp("models") / "needles", most=1024), threads=2)
    yield opened
    opened.close()


def same(reader):
    """What does not depend on what was asked in between."""
    return dataclasses.replace(reader.stats, cache_bytes=0)


def story(words=400):
    return " ".join(f"word{i * i % 97} and {i}" for i in range(words // 3))


def test_a_text_that_fits_is_answered_as_without_a_reader(engine):
    text = "the cat sat on the mat and the dog ran"
    with engine.reader(**SHAPE) as reader:
        reader.feed(text[:20])
        found = reader.generate(text[20:], **GREEDY)
        assert found.token_ids == engine.generate(text, **GREEDY).token_ids
        assert reader.stats.blocks == 0
        deltas = list(reader.stream(text[20:], **GREEDY))
        assert "".join(delta.text for delta in deltas) == found.text


def test_every_way_of_feeding_gives_the_same(engine, tmp_path):
    text = story()
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    ids = engine.tokenise(text)

    def answer(feed):
        with engine.reader(**SHAPE) as reader:
            assert feed(reader) == len(ids) == reader.stats.tokens
            blocks = [(block.number, block.text) for block in reader.recall("word4 and 2")]
            return reader.stats.blocks, blocks, reader.generate("word", **GREEDY).token_ids

    expected = answer(lambda reader: reader.feed(text))
    assert expected[0] > 20
    assert answer(lambda reader: reader.feed(path)) == expected
    assert answer(lambda reader: reader.feed(ids)) == expected
    assert answer(lambda reader: reader.feed(iter(ids))) == expected
    assert answer(lambda reader: reader.feed(text[i : i + 7] for i in range(0, len(text), 7))) == expected
    with path.open(encoding="utf-8") as file:
        assert answer(lambda reader: reader.feed(file)) == expected


def test_questions_leave_the_text_as_it_was_unless_they_are_kept(engine):
    text = story()
    with engine.reader(**SHAPE) as asked, engine.reader(**SHAPE) as silent:
        for reader in (asked, silent):
            reader.feed(text)
        first = asked.generate("word9 and 3", **GREEDY)
        assert asked.generate("word9 and 3", **GREEDY).token_ids == first.token_ids
        assert same(asked) == same(silent)
        asked.feed("and then")
        silent.feed("and then")
        assert asked.generate("so", **GREEDY).token_ids == silent.generate("so", **GREEDY).token_ids
        before = asked.stats.tokens
        kept = asked.generate("word9 and 3", keep=True, **GREEDY)
        # The last token that was chosen was not read.
        assert asked.stats.tokens == before + kept.timings.prompt_tokens + len(kept.token_ids) - 1


def test_an_answer_longer_than_the_window(engine):
    with engine.reader(**SHAPE) as reader:
        reader.feed("the cat")
        found = reader.generate(" sat", max_tokens=500, ignore_eos=True, draft="prompt_lookup")
        assert len(found.token_ids) == 500
        assert found.token_ids == reader.generate(" sat", max_tokens=500, ignore_eos=True).token_ids
        assert reader.stats.cached_tokens <= 64 + 5 * 16


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"codes": "k4v4"},
        {"exact_above": -1e9, "reduced_below": -1e9},
        {"reduced_below": 1e9, "exact_above": 1e9},
    ],
    ids=["graded", "4 bits", "exact", "reduced"],
)
def test_needles_are_found_far_outside_the_window(finder, needles, options):
    """Of 40 facts among 120 that share two of three words with them, in a text 30 times the window."""
    print("seed 7")
    hay = needles.haystack(8000, 40, 120, seed=7, clear=400)
    with finder.reader(window=256, block_tokens=32, recalled=8, **options) as reader:
        reader.feed(hay.text)
        found = [reader.generate(" ".join(one.key), max_tokens=1).text.strip() for one in hay.asked]
        right = sum(text == one.value for text, one in zip(found, hay.asked, strict=True))
        assert right >= 0.95 * len(hay.asked), (right, reader.stats)


def test_without_recall_needles_are_lost(finder, needles):
    """What the test above finds is found by the store, not by the model alone."""
    hay = needles.haystack(4000, 20, 60, seed=8, clear=400)
    with finder.reader(window=256, block_tokens=32, recalled=0) as reader:
        reader.feed(hay.text)
        found = [reader.generate(" ".join(one.key), max_tokens=1).text.strip() for one in hay.asked]
        assert sum(text == one.value for text, one in zip(found, hay.asked, strict=True)) <= 4


def test_a_named_store_is_there_for_the_next_reader(finder, needles, tmp_path):
    hay = needles.haystack(3000, 10, 20, seed=9, clear=400)
    options = {"window": 256, "block_tokens": 32, "store": tmp_path / "store"}
    with finder.reader(**options) as reader:
        reader.feed(hay.text)
        blocks = reader.stats.blocks
    with finder.reader(**options) as reader:
        assert (reader.stats.blocks, reader.stats.tokens) == (blocks, 0)
        reader.feed(" ".join(hay.text.split()[-200:]))
        found = [reader.generate(" ".join(one.key), max_tokens=1).text.strip() for one in hay.asked]
        assert sum(text == one.value for text, one in zip(found, hay.asked, strict=True)) >= 9
        with pytest.raises(StorageError, match="is in use"):
            finder.reader(**options)


def test_marks_patterns_and_bounds_decide_how_blocks_are_kept(engine):
    with engine.reader(**SHAPE, keep=["password"], exact_above=1e9, reduced_below=-1e9) as reader:
        reader.feed(story(60), grade="reduced")
        reader.feed(" the password is open ")
        reader.feed(story(200))
        grades = reader.stats.grades
        assert grades["reduced"] > 0 and grades["quantised"] > 0
        assert 1 <= grades["exact"] <= 3
        assert "exact" in [block.grade for block in reader.recall("the password is open", 2)]
    with engine.reader(**SHAPE, store_bytes=10_000) as reader:
        reader.feed(story())
        assert reader.stats.store_bytes <= 10_000
        assert reader.stats.grades["reduced"] > 10


def test_an_interrupted_feed_goes_on(engine, monkeypatch):
    monkeypatch.setattr(cutting, "_ENOUGH", 64)
    text = story()

    def interrupted():
        for i in itertools.count():
            if i == 40:
                raise KeyboardInterrupt
            yield text[i * 20 : i * 20 + 20]

    with engine.reader(**SHAPE) as reader:
        with pytest.raises(KeyboardInterrupt):
            reader.feed(interrupted())
        read, ids = reader.stats.tokens, engine.tokenise(text)
        assert 100 < read < len(ids)
        reader.feed(ids[read:])
        with engine.reader(**SHAPE) as whole:
            whole.feed(ids)
            expected = whole.generate("word", **GREEDY).token_ids
        assert reader.generate("word", **GREEDY).token_ids == expected


def test_a_full_disk_stops_and_goes_on(engine, monkeypatch):
    from arrowmind.streaming import store

    monkeypatch.setattr(store, "_PART_BLOCKS", 4)
    real, full = store.write_part, [False]

    def write(*given):
        if full[0]:
            raise StorageError("no room for it")
        real(*given)

    monkeypatch.setattr(store, "write_part", write)
    ids = engine.tokenise(story())
    with engine.reader(**SHAPE) as reader, engine.reader(**SHAPE) as other:
        reader.feed(ids[:160])
        full[0] = True
        with pytest.raises(StorageError, match="no room"):
            reader.feed(ids[160:])
        read = reader.stats.tokens
        full[0] = False
        reader.feed(ids[read:])
        other.feed(ids)
        assert same(reader) == same(other)
        asked = "word9 and 3"
        assert reader.generate(asked, **GREEDY).token_ids == other.generate(asked, **GREEDY).token_ids


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"sinks": -1}, "streaming.sinks"),
        ({"window": -5}, "streaming.window"),
        ({"window": 32}, "at least 64"),
        ({"window": 10_000}, f"the model reads {WINDOW}"),
        ({"sinks": 10_000}, f"the model reads {WINDOW}"),
        ({"recalled": 4000}, "the model reads"),
        ({"block_tokens": 17}, "multiple of 16"),
        ({"sinks": 1.5}, "streaming.sinks"),
        ({"sinks": "x"}, "streaming.sinks"),
        ({"codes": "int3"}, "streaming.codes"),
        ({"keep": ["("]}, "no regular expression"),
        ({"keep": "abc"}, "streaming.keep"),
        ({"exact_above": -3}, "must not be above"),
        ({"exact_above": float("nan")}, "streaming.exact_above"),
        ({"text_weight": 0}, "give one of them"),
        ({"store_bytes": "many"}, "store_bytes"),
        ({"windows": 64}, "did you mean 'window'"),
    ],
)
def test_options_out_of_range(engine, options, what):
    with pytest.raises(InvalidArgumentError, match=what):
        engine.reader(**{**SHAPE, **options})


def test_what_cannot_be_fed_or_asked(engine, tmp_path):
    with engine.reader(**SHAPE) as reader:
        for wrong in (b"bytes", 5, None, {"a": 1}, ["a", 1], [1, "a"], [1.5], tmp_path / "none", tmp_path):
            with pytest.raises(InvalidArgumentError):
                reader.feed(wrong)
        with pytest.raises(InvalidArgumentError, match="outside the vocabulary"):
            reader.feed([10**6])
        with pytest.raises(InvalidArgumentError, match="use one of exact"):
            reader.feed("a", grade="half")
        with pytest.raises(InvalidArgumentError, match="no option 'top'"):
            reader.generate("a", top=1)
        with pytest.raises(InvalidArgumentError, match="empty list"):
            reader.generate([])
        with pytest.raises(InvalidArgumentError, match="count is 0"):
            reader.recall("a", 0)
        assert reader.feed("") == 0
        reader.feed("the cat")
        open_answer = reader.stream("a", **GREEDY)
        next(open_answer)
        with pytest.raises(InvalidArgumentError, match="not read to its end"):
            reader.generate("b")
        open_answer.close()
        assert list(open_answer) == []
        reader.generate("b", **GREEDY)
    reader.close()
    for use in (lambda: reader.feed("a"), lambda: reader.generate("a"), lambda: reader.stats):
        with pytest.raises(InvalidArgumentError, match="is closed"):
            use()


def test_the_configuration_gives_what_is_not_given(tmp_path_factory, engine):
    overrides = {f"streaming.{name}": value for name, value in SHAPE.items()}
    config = load_config(overrides=overrides)
    opened = ArrowEngine(engine.info()["path"], config=config)
    with opened.reader() as reader, engine.reader(**SHAPE) as other:
        for one in (reader, other):
            one.feed(story())
        assert reader.stats == other.stats
    opened.close()
    with engine.reader(recalled=4) as reader:  # all by itself: smaller blocks for a model that reads little
        reader.feed(story())
        assert reader.stats.blocks > 0


def test_an_engine_with_a_budget_says_what_cache_a_reader_needs(engine):
    import types

    from arrowmind.engine import reader_options

    bounded = types.SimpleNamespace(max_tokens=WINDOW, residence=object())
    with pytest.raises(MemoryBudgetError, match=r"generation\.cache_tokens="):
        reader_options.open_reader(bounded, None, "", load_config(), SHAPE)
