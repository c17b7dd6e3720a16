"""The schedule over the real cached decoder: texts that come, go and share are what they are alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.test_scheduling import Reader, run
from tests.engine.writers import write_bytes_model

from arrowmind import ArrowEngine
from arrowmind.engine.cache_settings import CacheSettings
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.jobs import Job
from arrowmind.engine.scheduling import Schedule, ScheduleSettings
from arrowmind.errors import OverloadError
from arrowmind.generate import PromptLookup, SamplingParameters, TokenSequence, decode
from arrowmind.observe import metrics


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    opened = ArrowEngine(write_bytes_model(tmp_path_factory.mktemp("models") / "bytes"), threads=2)
    yield opened
    opened.close()


class One:
    """A sequence of a decoder that nobody else uses."""

    def __init__(self, decoder):
        self.decoder, self.handle = decoder, decoder.start()

    def append(self, tokens, rows):
        return self.decoder.append([(self.handle, tokens, rows)])[0]

    def forget(self, count):
        self.decoder.forget(self.handle, count)


def decoder_of(engine, tokens=None, form="fp16"):
    return CachedDecoder(engine._decoder, CacheSettings(format=form, max_tokens=tokens, page_tokens=16))


def sequence(engine, prompt, stream, *, drafts=False):
    parameters = SamplingParameters(temperature=4.0, seed=9, max_tokens=14, ignore_eos=True)
    proposer = PromptLookup() if drafts else None
    options = {"window": engine.max_tokens, "stream": stream, "drafts": proposer}
    return TokenSequence(prompt, parameters, engine.generator._vocabulary, **options)


BEGINNINGS = [[], [index * 7 % 250 for index in range(50)], [5, 5, 6] * 12]
arrivals = st.tuples(
    st.integers(0, 20),
    st.integers(0, 2),
    st.lists(st.integers(0, 255), min_size=1, max_size=20),
    st.booleans(),
    st.none() | st.integers(0, 30),
)


@given(st.lists(arrivals, min_size=2, max_size=7), st.integers(1, 4), st.sampled_from([96, 160, 2000]))
@settings(max_examples=20)
def test_each_text_is_as_alone(engine, come, streams, capacity):
    decoder = decoder_of(engine, capacity)
    free = decoder.free_tokens
    schedule = Schedule(decoder, ScheduleSettings(streams, 32, 8, kept_prefixes=3, headroom=0))
    jobs = []
    for index, (_, common, text, drafts, _) in enumerate(come):
        prompt = [*BEGINNINGS[common], *text]
        jobs.append(Job(sequence(engine, prompt, index, drafts=drafts), Reader()))
    for step in range(2000):
        for job, (arrival, _, _, _, end) in zip(jobs, come, strict=True):
            if arrival == step:
                schedule.add(job)
            job.is_cancelled = job.is_cancelled or end == step
        if not schedule.step() and step > 30:
            break
    for index, job in enumerate(jobs):
        alone = sequence(engine, job.sequence.prompt, index)
        list(decode(alone, One(decoder_of(engine))))
        assert job.consumer.ended
        assert job.consumer.error is None
        found = job.consumer.tokens
        assert found == alone.token_ids[: len(found)]
        assert job.is_cancelled or len(found) == 14
    schedule.close(OverloadError("end"))
    assert decoder.free_tokens == free


def test_a_conversation_reads_only_what_is_new(engine):
    decoder = decoder_of(engine, 1000)
    schedule = Schedule(decoder, name="talk")
    prompt = [index % 200 for index in range(70)]
    first = Job(sequence(engine, prompt, 0), Reader())
    run(schedule, [first])
    longer = [*prompt, *first.consumer.tokens, 1, 2, 3]
    second = Job(sequence(engine, longer, 0), Reader())
    before = metrics.reused_tokens.values()["talk",]
    run(schedule, [second])
    assert metrics.reused_tokens.values()["talk",] - before == 70 + 13
    alone = sequence(engine, longer, 0)
    list(decode(alone, One(decoder_of(engine))))
    assert second.consumer.tokens == alone.token_ids
