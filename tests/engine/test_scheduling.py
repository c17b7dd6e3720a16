"""Continuous batching: whatever comes, goes or fails, each text is what it is alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.toy_batch import ToyBatchDecoder
from tests.reference.toy_decoder import ToyDecoder

from arrowmind.engine.jobs import Job
from arrowmind.engine.prefixes import KeptPrefixes, common_length
from arrowmind.engine.scheduling import Schedule, ScheduleSettings
from arrowmind.errors import CacheFullError, InvalidArgumentError, OverloadError
from arrowmind.generate import PromptLookup, SamplingParameters, TokenSequence, decode
from arrowmind.observe import metrics

VOCABULARY = 8


class Reader:
    """A consumer that notes what it gets."""

    def __init__(self):
        self.tokens, self.ended, self.error = [], False, None

    def add(self, delta):
        assert not self.ended
        self.tokens += delta.token_ids

    def finish(self, error):
        assert not self.ended
        self.ended, self.error = True, error


def make(prompt, *, stream=0, drafts=False, window=64, **options):
    parameters = SamplingParameters(**{"temperature": 1.0, "seed": 5, "max_tokens": 12, **options})
    proposer = PromptLookup() if drafts else None
    return TokenSequence(prompt, parameters, VOCABULARY, window=window, drafts=proposer, stream=stream)


def alone(prompt, **options):
    sequence = make(prompt, **options)
    list(decode(sequence, ToyDecoder(VOCABULARY)))
    return sequence.token_ids


def job_of(prompt, **options):
    return Job(make(prompt, **options), Reader())


def run(schedule, jobs, most=10_000):
    for job in jobs:
        schedule.add(job)
    for _ in range(most):
        if not schedule.step():
            return
    raise AssertionError("the schedule does not come to an end")


texts = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=30)
arrivals = st.lists(
    st.tuples(
        st.integers(0, 12),  # step of arrival
        st.integers(0, 2),  # which of the common beginnings
        texts,
        st.booleans(),  # drafts
        st.none() | st.integers(0, 25),  # step of being cancelled
    ),
    min_size=1,
    max_size=12,
)


@given(
    arrivals,
    st.integers(1, 6),
    st.integers(1, 40),
    st.integers(1, 20),
    st.integers(0, 3),
    st.sampled_from([64, 96, 400]),
    st.integers(0, 1000),
)
@settings(max_examples=80)
def test_each_text_is_as_alone(come, streams, prompt_tokens, shared, kept, capacity, seed):
    decoder = ToyBatchDecoder(VOCABULARY, capacity=capacity)
    bounds = ScheduleSettings(streams, prompt_tokens, shared, kept, headroom=seed % 3)
    schedule = Schedule(decoder, bounds, "toy")
    beginnings = [[], [1, 2, 3, 4] * 5, [7, 6] * 9]
    jobs = {}
    for index, (step, common, text, drafts, _) in enumerate(come):
        prompt = [*beginnings[common], *text]
        jobs[index] = (step, prompt, drafts, job_of(prompt, stream=index, drafts=drafts, seed=seed))
    for step in range(3000):
        for index, (arrival, _, _, job) in jobs.items():
            if arrival == step:
                schedule.add(job)
            if come[index][4] == step:
                job.is_cancelled = True
        if not schedule.step() and step > 25:
            break
    else:
        raise AssertionError("does not end")
    for index, (_, prompt, drafts, job) in jobs.items():
        expected = alone(prompt, stream=index, drafts=drafts, seed=seed)
        reader = job.consumer
        assert reader.ended
        assert reader.error is None
        if not job.is_cancelled or job.sequence.finish_reason is not None:
            assert reader.tokens == expected
        else:
            assert reader.tokens == expected[: len(reader.tokens)]
    schedule.close(OverloadError("end"))
    assert decoder.sequences == {}


def test_those_that_write_are_fed_together():
    decoder = ToyBatchDecoder()
    schedule = Schedule(decoder)
    run(schedule, [job_of([index], max_tokens=5) for index in range(4)])
    assert decoder.runs == [[(1, 1)] * 4] * 5


def test_a_long_prompt_does_not_starve_those_that_write():
    decoder = ToyBatchDecoder()
    schedule = Schedule(decoder, ScheduleSettings(prompt_tokens=20, shared_prompt_tokens=6))
    writer, reader = job_of([1], max_tokens=10), job_of([2] * 16, max_tokens=2)
    schedule.add(writer)
    schedule.step()
    run(schedule, [reader])
    assert decoder.runs[:5] == [[(1, 1)], *[[(1, 1), (6, 0)]] * 2, [(1, 1), (4, 1)], [(1, 1)] * 2]
    assert all(len(run) >= 1 and run[0] == (1, 1) for run in decoder.runs)


def test_the_first_token_comes_after_as_many_parts_as_needed():
    decoder = ToyBatchDecoder()
    schedule = Schedule(decoder, ScheduleSettings(prompt_tokens=10))
    job = job_of([3] * 25, max_tokens=1)
    run(schedule, [job])
    assert decoder.runs == [[(10, 0)], [(10, 0)], [(5, 1)]]
    assert job.consumer.tokens == alone([3] * 25, max_tokens=1)


def test_beginnings_are_shared_with_ended_and_with_living_sequences():
    decoder = ToyBatchDecoder(capacity=2000, window=400)
    schedule = Schedule(decoder, ScheduleSettings(prompt_tokens=1000, shared_prompt_tokens=1000))
    common = [index % VOCABULARY for index in range(150)]
    jobs = [job_of([*common, index], window=400, stream=index) for index in range(3)]
    run(schedule, jobs)
    assert decoder.forks == 2  # two waited until the first had read what they share
    assert sum(count for part in decoder.runs for count, _ in part) < 151 + 3 * 12 + 4
    run(schedule, [job_of([*common, 1, *jobs[1].consumer.tokens, 4], window=400)])
    assert decoder.forks == 3
    assert all(count == 1 for count, _ in decoder.runs[-1])


def test_a_full_cache_sends_the_youngest_back():
    decoder = ToyBatchDecoder(capacity=40)
    schedule = Schedule(decoder, ScheduleSettings(headroom=0), "preempting")
    jobs = [job_of([index], max_tokens=30, stream=index) for index in range(3)]
    run(schedule, jobs)
    assert metrics.preemptions.values()["preempting",] >= 2
    assert [len(part) for part in decoder.runs][:2] == [3, 3]
    for index, job in enumerate(jobs):
        assert job.consumer.error is None
        assert job.consumer.tokens == alone([index], max_tokens=30, stream=index)


def test_what_never_fits_is_told():
    decoder = ToyBatchDecoder(capacity=8)
    job = job_of([1] * 20)
    run(Schedule(decoder), [job])
    assert isinstance(job.consumer.error, CacheFullError)
    assert decoder.sequences == {}


def test_one_that_fails_takes_no_other_down():
    decoder = ToyBatchDecoder()

    def failing(tokens):
        if tokens[0] == 3:
            raise OSError("a disk error")

    decoder.failing = failing
    jobs = [job_of([index], stream=index) for index in range(5)]
    schedule = Schedule(decoder)
    run(schedule, jobs)
    for index, job in enumerate(jobs):
        if index == 3:
            assert isinstance(job.consumer.error, OSError)
        else:
            assert job.consumer.tokens == alone([index], stream=index)


def test_what_was_appended_before_a_failure_is_forgotten():
    decoder = ToyBatchDecoder()
    whole, broken = decoder.append, [True]

    def append(feeds):
        found = whole(feeds)
        if broken[0] and len(feeds) == 2:
            broken[0] = False
            raise OSError("after the first half of the work")
        return found

    decoder.append = append
    jobs = [job_of([1, 2, 3, index], stream=index) for index in range(2)]
    decoder.forget = lambda handle, count: decoder.sequences[handle].__delitem__(slice(-count, None))
    run(Schedule(decoder), jobs)
    for index, job in enumerate(jobs):
        assert job.consumer.tokens == alone([1, 2, 3, index], stream=index)


def test_a_consumer_that_is_gone_ends_its_own_sequence():
    class Gone(Reader):
        def add(self, delta):
            raise RuntimeError("the loop is closed")

    decoder = ToyBatchDecoder()
    gone, there = Job(make([1]), Gone()), job_of([2])
    run(Schedule(decoder), [gone, there])
    assert len(gone.sequence.token_ids) == 1
    assert there.consumer.tokens == alone([2])


def test_a_broken_proposer_ends_its_own_sequence():
    class Broken:
        def extend(self, tokens):
            pass

        def propose(self, limit):
            raise ValueError("no idea")

    sequence = TokenSequence([1], SamplingParameters(max_tokens=4), VOCABULARY, drafts=Broken())
    broken, sound = Job(sequence, Reader()), job_of([2])
    run(Schedule(ToyBatchDecoder()), [broken, sound])
    assert isinstance(broken.consumer.error, ValueError)
    assert sound.consumer.tokens == alone([2])


def test_bad_logits_end_one_sequence():
    parameters = SamplingParameters(max_tokens=4, logit_bias={index: float("-inf") for index in range(8)})
    hopeless = Job(TokenSequence([1], parameters, VOCABULARY), Reader())
    sound = job_of([2])
    run(Schedule(ToyBatchDecoder()), [hopeless, sound])
    assert isinstance(hopeless.consumer.error, InvalidArgumentError)
    assert sound.consumer.tokens == alone([2])


def test_closing_tells_everyone():
    schedule = Schedule(ToyBatchDecoder(), ScheduleSettings(max_streams=1))
    jobs = [job_of([index]) for index in range(3)]
    for job in jobs:
        schedule.add(job)
    schedule.step()
    schedule.close(OverloadError("closed"))
    assert [type(job.consumer.error) for job in jobs] == [OverloadError] * 3
    assert (schedule.running, schedule.waiting) == (0, 0)


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_common_length(left, right):
    expected = 0
    while expected < min(len(left), len(right)) and left[expected] == right[expected]:
        expected += 1
    assert common_length(left, right) == expected
    tail = list(range(40))
    assert common_length(tail + left, tail + right) == 40 + expected


def test_kept_prefixes_go_by_age_and_swallow_shorter_ones():
    decoder = ToyBatchDecoder()
    kept = KeptPrefixes(decoder, 2)

    def sequence(tokens):
        handle = decoder.start()
        decoder.append([(handle, tokens, 0)])
        return handle, list(tokens)

    first, second, third = sequence([1, 2]), sequence([3]), sequence([1, 2, 4])
    kept.keep(*first)
    kept.keep(*second)
    kept.keep(*third)
    assert sorted(decoder.sequences) == sorted([second[0], third[0]])
    assert kept.longest([3, 3], []) == (second[0], 1)
    kept.keep(*sequence([5]))
    assert third[0] not in decoder.sequences
    kept.clear()
    assert decoder.sequences == {}
    assert not kept.evict()
    near = KeptPrefixes(decoder, 2, longest_cut=2)
    near.keep(*sequence([1, 2, 3, 4, 5]))
    assert near.longest([1, 2, 9], []) == (-1, 0)
    assert near.longest([1, 2, 3, 9], [])[1] == 3


@pytest.mark.parametrize("most", [1, 3, 100])
def test_parts_keep_the_rows_together(most):
    job = job_of([1] * 10)
    job.rows = 4
    taken = []
    while job.pending:
        count = job.part(most)
        taken.append(count)
        job.pending = job.pending[count:]
    assert sum(taken) == 10
    assert taken[-1] >= 4
