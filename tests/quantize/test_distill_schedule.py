"""What is trained on when: sizes of steps, windows in order, gradients in parts, threads side by side."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowmind.quantize.distill.schedule import Schedule
from arrowmind.quantize.distill.windows import ScheduledWindows, Windows

# Every token is a piece's own, so that a window says which pieces it is made of.
TEXTS = [list(range(40 * place, 40 * place + 17 + place % 23)) for place in range(30)]


@given(st.integers(1, 400), st.integers(1, 8), st.integers(0, 32))
def test_batches_grow_while_rates_fall_and_end_at_most(steps, batch, most):
    schedule = Schedule(steps, batch, most=most)
    sizes = schedule.sizes()
    assert len(sizes) == steps
    assert sizes[0] == batch
    assert all(before <= after for before, after in pairwise(sizes))
    assert sizes[-1] <= max(batch, most)
    for step in range(schedule.warm_up, steps):
        # Rates and sizes together stay where they began, until batches are as large as they may be.
        assert sizes[step] * schedule.factor(step) <= batch * 1.0001 or sizes[step] == batch
    assert Schedule(steps, batch).sizes() == [batch] * steps
    if steps > 100 and most > batch:
        assert sizes[-1] == most


@given(st.lists(st.integers(1, 6), min_size=1, max_size=40), st.integers(0, 9), st.integers(3, 30))
def test_windows_of_growing_batches_are_those_of_one_after_the_other(sizes, seed, length):
    """However steps share them, windows come in one order: none comes again before all others have come."""
    growing = Windows(TEXTS, length=length, size=sizes, seed=seed)
    single = Windows(TEXTS, length=length, size=1, seed=seed)
    found = [window for step in range(len(sizes)) for window in growing[step]]
    assert found == [single[number][0] for number in range(sum(sizes))]
    assert [len(growing[step]) for step in range(len(sizes))] == sizes


@given(st.integers(1, 60), st.integers(0, 60), st.sampled_from([0.0, 0.5, 1.0]), st.integers(1, 16))
def test_a_training_that_goes_on_sees_what_it_would_have_seen(steps, cut, short, most):
    schedule = Schedule(steps, 2, most=most, short=short)

    def windows():
        return ScheduledWindows(TEXTS, schedule, length=12, seed=3)

    whole, went_on = windows(), windows()
    in_order = [whole[step] for step in range(steps)]
    assert [went_on[step] for step in range(min(cut, steps), steps)] == in_order[cut:]
    # As many tokens in each step, in windows of either length.
    for step, batch in enumerate(in_order):
        assert sum(map(len, batch)) == 12 * schedule.size(step)
        assert {len(window) for window in batch} == {6 if step < round(short * steps) else 12}


@pytest.mark.parametrize("short", [0.0, 0.5])
def test_windows_of_one_token_are_not_halved(short):
    windows = ScheduledWindows(TEXTS, Schedule(4, 2, short=short), length=1, seed=0)
    assert all(len(window) == 1 for step in range(4) for window in windows[step])


class Squares:
    """A loss whose gradient is known: the mean over sequences of (value * first token)²."""

    figure = "square"

    def __call__(self, teacher, student, sequences):
        first = teacher["value"].new_tensor([float(sequence[0]) for sequence in sequences])
        loss = ((student["value"] * first[:, None]) ** 2).mean()
        return loss, float(loss.detach())


@pytest.mark.torch
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_gradients_of_parts_are_those_of_the_whole_with_any_number_of_threads(count):
    torch = pytest.importorskip("torch")
    from arrowmind.quantize.distill.gradients import backward
    from arrowmind.quantize.distill.side_by_side import SideBySide

    chance = random.Random(count)
    sequences = [[chance.randrange(1, 9)] for _ in range(count)]
    before = torch.get_num_threads()
    found = {}
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for parts in (1, 2):
                latent = torch.tensor([1.0, -2.0, 0.5], requires_grad=True)
                student = {"value": latent * 3, "fixed": torch.ones(2)}
                size = -(-count // parts)
                split = [sequences[at : at + size] for at in range(0, count, size)]
                with SideBySide(parts) as workers:
                    told = backward(Squares(), {"value": torch.ones(3)}, student, split, workers)
                assert torch.get_num_threads() == threads
                found[threads, parts] = told, latent.grad
    finally:
        torch.set_num_threads(before)
    # (2 / 3) * 9 * latent * mean of squares
    mean = sum(first**2 for [first] in sequences) / count
    for told, gradient in found.values():
        torch.testing.assert_close(gradient, 6 * mean * torch.tensor([1.0, -2.0, 0.5]))
        assert told == pytest.approx(3 * mean * 5.25, rel=1e-5)
    for parts in (1, 2):
        assert torch.equal(found[1, parts][1], found[2, parts][1])


@pytest.mark.torch
def test_what_a_thread_raises_is_raised_and_threads_are_given_back():
    torch = pytest.importorskip("torch")
    from arrowmind.quantize.distill.side_by_side import SideBySide

    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), SideBySide(2) as threads:
        list(threads.map(lambda value: 1 // value, [1, 0, 1]))
    assert torch.get_num_threads() == before


@pytest.mark.torch
@given(path=st.lists(st.floats(-3, 3), min_size=1, max_size=40), margin=st.sampled_from([0.1, 0.25, 0.5]))
def test_held_levels_change_only_beyond_the_margin(path, margin):
    torch = pytest.importorskip("torch")
    from arrowmind.quantize.distill.latent import Held
    from arrowmind.quantize.matrix.rounding import Levels

    levels = Levels(low=-1.5, high=1.5)
    held = Held(torch.tensor([0.5]), margin)
    before = 0.5
    for value in path:
        after = float(held.nearest(torch.tensor([value]), levels))
        near = min(max(round(value + 1.5), 0), 3) - 1.5
        assert after in {before, near}
        if abs(value - before) <= 0.5 + margin - 1e-6:
            assert after == before
        if abs(value - before) > 0.5 + margin + 1e-6:
            assert after == near
        before = after
