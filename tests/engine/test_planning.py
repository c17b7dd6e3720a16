"""What a plan says of a model before it is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.engine import decoders

from arrowmind import _native
from arrowmind.config import load_config
from arrowmind.engine import planning, residence
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.machine import disk_rate, memory_rate
from arrowmind.engine.planning import plan_run
from arrowmind.engine.rates import Rates
from arrowmind.engine.residence import Room
from arrowmind.errors import MemoryBudgetError
from arrowmind.weights import convert_model, streamed_bytes

if TYPE_CHECKING:
    from pathlib import Path

RATES = Rates(memory=1e6, disk=1e3)


def folder_of(path: Path, family: str) -> ModelFolder:
    original, _, _ = decoders.write_family(path / "original", family, seed=3)
    convert_model(original, path / "model")
    return ModelFolder(path / "model")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the model counts."""
    monkeypatch.setattr(residence, "_SLACK", 0)
    monkeypatch.setattr(planning, "room_of", lambda *_: Room(0, 0, 0))


def needed(folder: ModelFolder) -> residence.Placement:
    return residence.place(folder.weights, folder.decoder, Room(0, 0, 0), 1)


@pytest.mark.usefixtures("bare")
def test_what_fits_waits_for_memory_alone(tmp_path):
    folder = folder_of(tmp_path, "llama")
    plan = plan_run(folder, load_config(env={}), needed(folder).whole, RATES)
    assert (plan.moving, plan.read, plan.bottleneck) == (0, 0, "memory")
    assert plan.token_seconds == pytest.approx(plan.active / 1e6)
    assert plan.to_dict()["tokens_per_second"] == pytest.approx(1e6 / plan.active)


@pytest.mark.usefixtures("bare")
def test_blocks_that_do_not_fit_are_read_for_every_token(tmp_path):
    folder = folder_of(tmp_path, "llama")
    placement = needed(folder)
    plan = plan_run(folder, load_config(env={}), placement.least, RATES)
    total, largest = sum(placement.sizes), max(placement.sizes)
    assert plan.read == pytest.approx(total - largest, abs=1)  # one of two places keeps its block
    assert plan.bottleneck == "disk"
    assert plan.token_seconds == pytest.approx(plan.read / 1e3)
    assert plan.first_seconds == pytest.approx(total / 1e3)  # read while others compute


@pytest.mark.usefixtures("bare")
def test_of_experts_a_token_meets_a_few(tmp_path):
    folder = folder_of(tmp_path, "qwen3-moe")
    placement = needed(folder)
    routed = folder.decoder.blocks[0].feed_forward
    share = routed.router.top / len(routed.experts)
    plan = plan_run(folder, load_config(env={}), placement.whole, RATES)
    assert plan.active == pytest.approx(placement.fixed + share * sum(placement.sizes), abs=1)
    tight = plan_run(folder, load_config(env={}), placement.least, RATES)
    assert 0 < tight.read < share * sum(placement.sizes)
    assert tight.token_seconds == pytest.approx(max(tight.read / 1e3, tight.active / 1e6))
    unforeseen = load_config(env={}, overrides={"residency.foresee": False})
    told = plan_run(folder, unforeseen, placement.least, RATES).token_seconds
    assert told == pytest.approx(tight.read / 1e3 + tight.active / 1e6)


def test_parts_are_all_there_is_to_move(tmp_path):
    folder = folder_of(tmp_path, "qwen3-moe")
    placement = needed(folder)
    assert sum(placement.sizes) == sum(streamed_bytes(folder.weights, part.names) for part in placement.parts)


def test_an_impossible_budget_is_told(tmp_path):
    with pytest.raises(MemoryBudgetError, match="give at least"):
        plan_run(folder_of(tmp_path, "llama"), load_config(env={}), 1 << 20, RATES)


def test_a_machine_is_measured(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(bytes(9 << 20))
    assert 1e6 < disk_rate(path) < 1e12
    assert 1e8 < memory_rate(_native.ThreadPool(2)) < 1e13
    (tmp_path / "small").write_bytes(b"x")
    assert 0 < disk_rate(tmp_path / "small") < 1e12
