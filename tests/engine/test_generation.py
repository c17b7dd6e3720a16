"""The engine writes: prompts of every kind, options, batches, streams, event loops, and what is refused."""

from __future__ import annotations

import asyncio
import gc
import json
import time

import numpy as np
import pytest
from tests.engine import decoders
from tests.engine.writers import WINDOW, write_bytes_model, write_stories

from arrowmind import ArrowEngine
from arrowmind.config import load_config
from arrowmind.engine.writing import cached_decoder
from arrowmind.errors import InvalidArgumentError, OverloadError, WeightError
from arrowmind.generate import PromptLookup

TEXTS = ["the cat", "a dog ran and ran and ran", "", "caf\u00e9 \u65e5\u672c"]
SAMPLED = {"temperature": 4.0, "seed": 11, "max_tokens": 24, "ignore_eos": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bytes_model(tmp_path_factory.mktemp("models") / "bytes")


@pytest.fixture(scope="module")
def engine(folder):
    opened = ArrowEngine(folder, threads=2)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def stories(shared_data, tmp_path_factory):
    opened = ArrowEngine(write_stories(shared_data, tmp_path_factory.mktemp("models") / "stories"), threads=2)
    yield opened
    opened.close()


def greedy(engine, ids, count):
    """The continuation by the engine's logits alone."""
    ids = list(ids)
    for _ in range(count):
        ids.append(int(engine.logits(ids)[-1].argmax()))
    return tuple(ids[-count:])


def test_greedy_is_what_the_logits_say(engine, stories):
    ids = engine.tokenise("the cat sat")
    found = engine.generate("the cat sat", max_tokens=12, ignore_eos=True)
    assert found.token_ids == greedy(engine, ids, 12)
    assert found.timings.prompt_tokens == len(ids)
    story = stories.generate("Once upon a time", max_tokens=30)
    assert story.token_ids == greedy(stories, stories.tokenise("Once upon a time"), 30)
    assert story.text.startswith(", there was a little girl named Lily.")
    assert (story.finish_reason, story.timings.tokens) == ("length", 30)


def test_prompts_of_every_kind(engine):
    ids = engine.tokenise("the cat")
    by_text = engine.generate("the cat", **SAMPLED)
    assert engine.generate(ids, **SAMPLED).token_ids == by_text.token_ids
    assert engine.generate(np.array(ids), **SAMPLED).token_ids == by_text.token_ids
    messages = [{"role": "user", "content": "the cat"}]
    talked = engine.generate(messages, **SAMPLED)
    assert talked.token_ids == engine.generate("<user>the cat\n<assistant>", **SAMPLED).token_ids
    assert engine.generate((messages[0],), **SAMPLED).token_ids == talked.token_ids


def test_a_batch_gives_what_each_gives_alone(engine):
    prompts = [text or "x" for text in TEXTS] * 3
    together = engine.generate(prompts, **SAMPLED)
    assert [one.token_ids for one in together] == [
        engine.generate(text, **SAMPLED).token_ids for text in prompts
    ]
    assert isinstance(engine.generate(["the"], max_tokens=1), list)
    assert len(engine.generate([[1, 2], [3]], max_tokens=1)) == 2
    assert len(engine.generate([[{"role": "user", "content": "a"}]], max_tokens=1)) == 1


def test_threads_do_not_change_a_token(engine, folder):
    one = ArrowEngine(folder, threads=1)
    for text in TEXTS[:2]:
        assert one.generate(text, **SAMPLED).token_ids == engine.generate(text, **SAMPLED).token_ids
    one.close()


def test_drafts_change_nothing(stories):
    text = "One day, a big dog saw a big cat. One day, a big"
    plain = stories.generate(text, max_tokens=60)
    drafted = stories.generate(text, max_tokens=60, draft="prompt_lookup")
    assert drafted.token_ids == plain.token_ids
    assert drafted.timings.accepted > 0
    assert stories.generate(text, max_tokens=60, draft=PromptLookup()).token_ids == plain.token_ids
    sampled = {"temperature": 0.9, "seed": 4, "max_tokens": 40}
    with_draft = stories.generate(text, draft="prompt_lookup", **sampled)
    assert with_draft.token_ids == stories.generate(text, **sampled).token_ids


def test_a_draft_model_changes_nothing(stories, engine, tmp_path):
    draft = stories.draft_model
    for prompt, options in (("Once upon a time", {}), ("Tom", {"temperature": 0.9, "seed": 4})):
        plain = stories.generate(prompt, max_tokens=50, **options)
        drafted = stories.generate(prompt, max_tokens=50, draft=draft, **options)
        assert drafted.token_ids == plain.token_ids
        assert drafted.timings.accepted > 0
    assert drafted.timings.accepted < drafted.timings.drafted
    several = stories.generate(["Tom", "Lily"], max_tokens=20, draft=draft)
    assert [one.token_ids for one in several] == [
        one.token_ids for one in stories.generate(["Tom", "Lily"], max_tokens=20)
    ]
    with pytest.raises(InvalidArgumentError, match="has other tokens"):
        engine.generate("x", draft=draft)
    gc.collect()
    stories.generate("Tom", max_tokens=1, draft=draft)
    assert draft._decoder.free_tokens == draft._decoder.window  # each text left what it took


def test_a_draft_model_of_other_weights_and_a_smaller_window(engine, tmp_path):
    small = ArrowEngine(write_bytes_model(tmp_path / "small", seed=8))
    small.draft_model._decoder.window = 40
    options = {**SAMPLED, "max_tokens": 60}
    assert engine.generate("the cat", draft=small.draft_model, **options).token_ids == (
        engine.generate("the cat", **options).token_ids
    )


def test_stop_strings_and_logprobs(stories):
    found = stories.generate("Once upon a time", stop="Lily", logprobs=2)
    assert (found.text, found.finish_reason, found.stop) == (
        ", there was a little girl named ",
        "stop",
        "Lily",
    )
    assert all(choice.top[0][0] == choice.token for choice in found.logprobs)


def test_a_schema_rules_the_text(engine):
    pytest.importorskip("llguidance")
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    schema["additionalProperties"] = False
    found = engine.generate("x", json_schema=schema, max_tokens=60, temperature=1.0, seed=1)
    assert found.finish_reason in ("constraint", "eos")
    assert set(json.loads(found.text)) == {"a"}
    assert engine.generate("x", regex="(ab){2}", max_tokens=20).text == "abab"
    assert engine.generate("x", grammar='root ::= "yes" | "no"', max_tokens=20).text in ("yes", "no")
    both = engine.generate(["x", "y"], regex="(ab){2}", max_tokens=20)
    assert [one.text for one in both] == ["abab", "abab"]


def test_a_stream_is_the_same_text_in_pieces(stories):
    whole = stories.generate("Tom and", max_tokens=25)
    stream = stories.stream("Tom and", max_tokens=25)
    deltas = list(stream)
    assert "".join(delta.text for delta in deltas) == whole.text
    assert len(deltas) == 25
    assert deltas[-1].finish_reason == "length"
    assert stream.generation.token_ids == whole.token_ids
    assert list(stream) == []


def test_no_piece_holds_half_a_character(engine):
    """Random bytes: what is no UTF-8 becomes U+FFFD once, whole characters stay whole."""
    stream = engine.stream("\u65e5\u672c", **{**SAMPLED, "max_tokens": 120})
    pieces = [delta.text for delta in stream]
    raw = b"".join(engine.generator.pieces.of(token) for token in stream.generation.token_ids)
    assert "".join(pieces) == stream.generation.text
    assert "".join(pieces).replace("\ufffd", "") == raw.decode("utf-8", "ignore")


def test_async_streams_side_by_side(stories):
    prompts = ["Once upon a time", "Tom and", "One day", "The big"]

    async def read(prompt):
        stream = stories.astream(prompt, max_tokens=20)
        text = "".join([delta.text async for delta in stream])
        assert text == stream.generation.text
        return text

    async def main():
        return await asyncio.gather(*map(read, prompts))

    expected = [one.text for one in stories.generate(prompts, max_tokens=20)]
    assert asyncio.run(main()) == expected


def test_an_event_loop_goes_on_while_the_model_works(engine, monkeypatch):
    """Preparing takes half a second here; the loop ticks meanwhile."""
    whole = engine.generator.prepare

    def slow(*arguments):
        time.sleep(0.3)
        return whole(*arguments)

    monkeypatch.setattr(engine.generator, "prepare", slow)

    async def main():
        ticks = 0
        reading = asyncio.ensure_future(anext(aiter(engine.astream("the", max_tokens=2))))
        while not reading.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks, await reading

    ticks, delta = asyncio.run(main())
    assert ticks > 10
    assert len(delta.token_ids) == 1


@pytest.mark.parametrize("how", ["cancel", "aclose", "context", "forget"])
def test_who_leaves_frees_the_sequence(stories, how):
    worker = stories.generator.worker

    async def main():
        stream = stories.astream("Once", max_tokens=1500, ignore_eos=True)
        async with stream if how == "context" else _Nothing():
            await anext(stream)
            assert worker.running == 1
            if how == "cancel":
                task = asyncio.ensure_future(_read(stream))
                await asyncio.sleep(0.02)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            elif how == "aclose":
                await stream.aclose()
        if how == "forget":
            del stream
            gc.collect()
        for _ in range(1000):
            if worker.running == 0:
                return
            await asyncio.sleep(0.005)
        raise AssertionError("the sequence goes on")

    asyncio.run(main())


class _Nothing:
    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        return None


async def _read(stream):
    async for _ in stream:
        pass


def test_an_interrupted_wait_frees_the_sequence(stories, monkeypatch):
    """Ctrl-C while generate() waits: the engine serves on."""
    from arrowmind.engine import generation

    def interrupted(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(generation.Completion, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            stories.generate(["Once", "One"], max_tokens=1500, ignore_eos=True)
    end = time.monotonic() + 10
    while stories.generator.worker.running and time.monotonic() < end:
        time.sleep(0.005)
    assert stories.generator.worker.running == 0
    assert stories.generate("Once", max_tokens=2).finish_reason == "length"


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        ("x", {"temperature": float("nan")}, "temperature is nan"),
        ("x", {"temperature": -1}, "temperature is -1"),
        ("x", {"top_p": -0.1}, "top_p is -0.1"),
        ("x", {"min_p": float("nan")}, "min_p is nan"),
        ("x", {"top_k": -1}, "top_k is -1"),
        ("x", {"repetition_penalty": 0}, "repetition_penalty is 0"),
        ("x", {"max_tokens": 0}, "max_tokens is 0"),
        ("x", {"temprature": 1}, "did you mean 'temperature'"),
        ("x", {"zzz": 1}, "there is no option 'zzz'; use "),
        ("x", {"draft": "magic"}, "draft is 'magic'"),
        ("x", {"draft": 3}, "draft is int"),
        ("x", {"regex": "a", "grammar": "b"}, "grammar and regex were given"),
        ("", {}, "prompt has no tokens"),
        ([], {}, "prompt is an empty list"),
        (b"x", {}, "prompt is bytes"),
        (7, {}, "prompt is int"),
        ([1.5], {}, "not a whole number"),
        ([99999], {}, r"prompt\[0\] is 99999"),
        (["x", 3], {}, "prompt is int 3"),
        (["x", "y"], {"draft": PromptLookup()}, "follows one text"),
        ([{"role": "user"}], {}, "nothing but a role"),
        ([{"role": "user", "content": "a"}, "b"], {}, r"messages\[1\] is str"),
        ("x" * 500, {}, f"has 500 tokens, and the model reads {WINDOW}"),
    ],
)
def test_what_is_refused(engine, prompt, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        engine.generate(prompt, **options)
    assert engine.generate("x", max_tokens=1).timings.tokens == 1


def test_one_bad_prompt_of_several_is_told_before_anything_runs(engine):
    with pytest.raises(InvalidArgumentError, match="has 400 tokens"):
        engine.generate(["x", "y" * 400])
    with pytest.raises(InvalidArgumentError, match="2 prompts to stream"):
        engine.stream(["x", "y"])


def test_the_window_ends_a_text(engine):
    found = engine.generate("x" * (WINDOW - 10), max_tokens=100, ignore_eos=True)
    assert (len(found.token_ids), found.finish_reason) == (10, "length")


def test_a_model_without_a_template_says_so(tmp_path):
    engine = ArrowEngine(write_bytes_model(tmp_path / "model", template=None))
    with pytest.raises(InvalidArgumentError, match=r"has no chat template.*chat_template\.jinja"):
        engine.generate([{"role": "user", "content": "x"}])
    assert engine.generate("x", max_tokens=1).finish_reason


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for i in range(10**9) %}{% for j in range(10**9) %}x{% endfor %}{% endfor %}", "chat template"),
        ("{{ messages.__class__.__mro__ }}", "chat template"),
        ("{{ raise_exception('no system message') }}", "no system message"),
    ],
)
def test_a_template_that_misbehaves(tmp_path, template, message):
    engine = ArrowEngine(write_bytes_model(tmp_path / "model", template=template))
    with pytest.raises(InvalidArgumentError, match=message):
        engine.generate([{"role": "user", "content": "x"}])
    assert engine.generate("x", max_tokens=1).finish_reason


@pytest.mark.parametrize("value", ["end", [1.5], -1, True, list(range(100)), {}])
def test_damaged_end_tokens(tmp_path, value):
    folder = write_bytes_model(tmp_path / "model")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": value}))
    with pytest.raises(WeightError, match="eos_token_id is"):
        ArrowEngine(folder).generate("x")
    (folder / "generation_config.json").write_text("[")
    with pytest.raises(WeightError, match="cannot be read"):
        ArrowEngine(folder).generate("x")


def test_end_tokens_of_the_generation_config_win(tmp_path):
    folder = write_bytes_model(tmp_path / "model")
    first = ArrowEngine(folder).generate("x", max_tokens=3, ignore_eos=True).token_ids
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [264, first[0]]}))
    found = ArrowEngine(folder).generate("x", max_tokens=3)
    assert (found.text, found.token_ids, found.finish_reason) == ("", first[:1], "eos")


def test_an_encoder_does_not_write(tmp_path, minilm_source):
    from arrowmind.weights import convert_model

    convert_model(minilm_source, tmp_path / "minilm")
    with pytest.raises(InvalidArgumentError, match="is an encoder"):
        ArrowEngine(tmp_path / "minilm").generate("x")


def test_tokens_that_cannot_be_put_together(tmp_path):
    from arrowmind.errors import TokenizerError
    from arrowmind.weights import convert_model

    source, _, _ = decoders.write_family(tmp_path / "hf", "llama", 1)  # a WordPiece tokenizer
    convert_model(source, tmp_path / "model")
    with pytest.raises(TokenizerError):
        ArrowEngine(tmp_path / "model").generate("the cat")


def test_a_queue_that_is_full(folder):
    config = load_config(overrides={"generation.max_waiting": "0", "generation.max_streams": "1"})
    engine = ArrowEngine(folder, config=config)
    with pytest.raises(OverloadError, match="0 may"):
        engine.stream("x")
    assert engine.generate("x", max_tokens=1).finish_reason  # who calls and waits is not refused
    engine.close()
    with pytest.raises(OverloadError, match="was closed"):
        engine.generate("x")


def test_a_small_cache_bounds_a_text_and_serves_many(folder):
    config = load_config(overrides={"generation.cache_tokens": "128", "generation.kept_prefixes": "2"})
    engine, plain = ArrowEngine(folder, config=config), ArrowEngine(folder)
    assert engine.generator.window == 128
    prompts = [f"{index} the cat sat" for index in range(12)]
    options = {**SAMPLED, "max_tokens": 40}
    found = engine.generate(prompts, **options)
    assert [one.token_ids for one in found] == [one.token_ids for one in plain.generate(prompts, **options)]


@pytest.mark.parametrize("form", ["fp32", "int8", "k4v4", "k4v3"])
def test_every_format_of_the_cache(shared_data, tmp_path, form, caplog):
    """Batched, with shared beginnings and alone: the same tokens, whatever the cache is made of."""
    config = load_config(overrides={"generation.cache_format": form, "generation.cache_tokens": "4096"})
    folder = write_stories(shared_data, tmp_path / "stories")
    engine = ArrowEngine(folder, config=config, threads=2)
    beginning = "Once upon a time there was a big dog and a small cat who lived in a house. " * 8
    prompts = [beginning + end for end in ("The dog", "The cat", "One day", "The dog saw")]
    together = engine.generate(prompts, max_tokens=40)
    for prompt, one in zip(prompts, together, strict=True):
        fresh = ArrowEngine(folder, config=config, threads=1)
        assert fresh.generate(prompt, max_tokens=40).token_ids == one.token_ids
        fresh.close()
    engine.close()


def test_a_format_that_costs_too_much_is_not_used(folder, monkeypatch, caplog):
    from arrowmind.engine import cache_divergence

    found = cache_divergence.CacheDivergence(2.0, 1.0, 0.5, 100)
    monkeypatch.setattr(cache_divergence, "cache_divergence", lambda *_: found)
    config = load_config(overrides={"generation.cache_format": "int8"})
    engine = ArrowEngine(folder, config=config)
    assert cached_decoder(engine._parts, engine._decoder, config.generation).settings.format == "fp16"
    assert "perplexity above the bound" in caplog.text
    with pytest.raises(InvalidArgumentError, match="cache format 'fp7'"):
        ArrowEngine(folder, config=load_config(overrides={"generation.cache_format": "fp7"})).generate("x")


def test_an_engine_that_nobody_knows_is_freed(folder, monkeypatch):
    """Without a garbage collection: its weights are many bytes."""
    import weakref

    from arrowmind.engine import worker

    monkeypatch.setattr(worker, "_IDLE_SECONDS", 0.01)
    gc.collect()
    gc.disable()
    try:
        engine = ArrowEngine(folder)
        engine.generate("x", max_tokens=2)
        known = weakref.ref(engine)
        del engine
        assert known() is None
    finally:
        gc.enable()
