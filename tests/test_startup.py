"""Nothing is left of what a start changes."""

import gc
import os
import subprocess
import sys

import pytest

from arrowmind.startup import undisturbed

SPIN = "OPENBLAS_THREAD_TIMEOUT"

pytestmark = pytest.mark.usefixtures("thawed")


@pytest.fixture(autouse=True)
def enabled():
    gc.enable()
    yield
    gc.enable()


def test_the_collector_rests_inside_and_runs_again_whatever_happens():
    with undisturbed():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="inside"), undisturbed():
        raise ValueError("inside")
    assert gc.isenabled()


def test_who_had_turned_it_off_finds_it_off():
    gc.disable()
    with undisturbed():
        assert not gc.isenabled()
    assert not gc.isenabled()


def test_one_inside_another():
    with undisturbed():
        with undisturbed():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_what_was_made_inside_is_old_at_once():
    """The next look at young objects finds none of them."""
    with undisturbed():
        made = [[] for _ in range(100)]
    old = {id(one) for one in gc.get_objects(generation=2)}
    assert all(id(one) in old for one in made)


def test_what_somebody_has_frozen_stays_frozen():
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with undisturbed():
            pass
        assert gc.get_freeze_count() == frozen > 0
    finally:
        gc.unfreeze()


def test_where_numpy_is_there_already_threads_stay_as_they_are(monkeypatch):
    monkeypatch.delenv(SPIN, raising=False)
    import numpy  # noqa: F401

    with undisturbed():
        assert SPIN not in os.environ


@pytest.mark.parametrize("said", [None, "20"])
def test_threads_sleep_soon_unless_the_environment_says_otherwise(said):
    script = f"""
import os
from arrowmind.startup import undisturbed
with undisturbed():
    print(os.environ.get("{SPIN}"))
print(os.environ.get("{SPIN}"))
"""
    env = {key: value for key, value in os.environ.items() if key != SPIN} | ({SPIN: said} if said else {})
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env
    )
    assert found.stdout.split() == [said or "16", str(said)]
