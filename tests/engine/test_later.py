"""What is made beside something else: once, by whoever comes first."""

from __future__ import annotations

import threading

import pytest

from arrowmind.engine.later import Later


class Maker:
    """Counts what it makes, and waits until it may; fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.made: list[str] = []
        self.may = threading.Event()
        self.may.set()
        self._failures = failures

    def __call__(self) -> int:
        self.made.append(threading.current_thread().name)
        assert self.may.wait(10)
        if len(self.made) <= self._failures:
            raise MemoryError(f"failure {len(self.made)}")
        return 7


def test_who_asks_first_makes_it():
    maker = Maker()
    later = Later(maker)
    assert maker.made == []
    assert not later.is_made
    assert [later.get(), later.get()] == [7, 7]
    assert later.is_made
    assert maker.made == [threading.current_thread().name]


def test_who_asks_waits_for_the_thread_that_makes_it():
    maker = Maker()
    maker.may.clear()
    later = Later(maker)
    later.begin()
    while not maker.made:
        pass
    threading.Timer(0.05, maker.may.set).start()
    assert later.get() == 7
    assert maker.made == ["make-later"]


def test_it_is_made_once_for_many():
    maker = Maker()
    maker.may.clear()
    later, found = Later(maker), []
    later.begin()
    threads = [threading.Thread(target=lambda: found.append(later.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    maker.may.set()
    for thread in threads:
        thread.join(10)
    assert found == [7] * 8
    assert len(maker.made) == 1


def test_what_fails_in_the_thread_is_told_to_who_asks():
    maker = Maker(failures=2)
    later = Later(maker)
    later.begin()
    while threading.active_count() > 1 and any(one.name == "make-later" for one in threading.enumerate()):
        pass
    with pytest.raises(MemoryError, match="failure 2"):
        later.get()
    assert later.get() == 7


def test_without_threads_who_asks_makes_it(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    later = Later(Maker())
    later.begin()
    assert later.get() == 7
