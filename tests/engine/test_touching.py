"""Weights are hashed beside what compiles: progress, failures and interrupts end where they should."""

from __future__ import annotations

import threading

import pytest

from arrowmind import _native
from arrowmind.engine.touching import BackgroundTouch
from arrowmind.errors import IntegrityError


class Weights:
    """Reads in three parts, each when it is let."""

    def __init__(self, failure=None):
        self.go, self.done, self._failure = threading.Event(), 0, failure

    def touch(self, pool, progress):
        for part in range(3):
            self.go.wait(10)
            if self._failure is not None:
                raise self._failure
            self.done = part + 1
            progress(self.done, 3, "reading weights")


def touching(weights, told):
    return BackgroundTouch(weights, _native.ThreadPool(1), lambda *step: told.append(step))


def test_the_body_goes_on_and_its_end_waits():
    weights, told = Weights(), []
    with touching(weights, told) as touch:
        assert weights.done == 0
        touch.progress(1, 1, "layers")
        weights.go.set()
    assert weights.done == 3
    assert told[0] == (1, 1, "layers")
    assert told[-1] == (3, 3, "reading weights")


def test_a_failure_is_told_where_the_body_ends():
    weights = Weights(IntegrityError("damaged"))
    weights.go.set()
    with pytest.raises(IntegrityError, match="damaged"), touching(weights, []):
        pass


def test_who_leaves_by_an_exception_waits_for_one_part_alone():
    weights = Weights()
    with pytest.raises(ValueError, match="enough"), touching(weights, []):
        weights.go.set()
        raise ValueError("enough")
    assert weights.done <= 3
    assert not any(thread.name == "touch-weights" for thread in threading.enumerate())


def test_what_progress_raises_ends_it():
    weights = Weights()

    def enough(*_):
        raise KeyboardInterrupt

    weights.go.set()
    with pytest.raises(KeyboardInterrupt), BackgroundTouch(weights, _native.ThreadPool(1), enough):
        pass
    assert not any(thread.name == "touch-weights" for thread in threading.enumerate())
