"""What is foretold of a model that shares a device, the CPU and the disk."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.engine.placed import SMALL
from tests.engine.test_planning import RATES, bare, folder_of, needed
from tests.engine.writers import write_bytes_model

from arrowmind import ArrowEngine
from arrowmind.cli.main import run
from arrowmind.config import load_config
from arrowmind.engine import measurements
from arrowmind.engine.device_rates import measure_device
from arrowmind.engine.forward_room import ForwardBound, ForwardRoom
from arrowmind.engine.on_device import DeviceHost
from arrowmind.engine.placing import room_on_device
from arrowmind.engine.planning import DeviceShare, plan_run
from arrowmind.engine.rates import DeviceRates, Rates
from arrowmind.engine.sharing import machine_bytes, share_of
from arrowmind.models.decoder_spec import RoutedFeedForward

__all__ = ["bare"]  # fixtures

THERE = DeviceRates(memory=1e7, prompt=1e8)
PROMPTED = Rates(memory=1e6, disk=1e5, prompt=1e6)
NONE, SMALLEST = ForwardRoom(0, 0, 0), ForwardBound(0, 0, fills=False)
CONFIG = load_config(env={}, overrides=SMALL)


def share(folder, room):
    return DeviceShare("cuda:0", room, room_on_device(folder, CONFIG, NONE, SMALLEST), THERE)


@pytest.mark.usefixtures("bare")
def test_what_fits_the_device_waits_for_it_alone(tmp_path):
    folder = folder_of(tmp_path, "llama")
    plan = plan_run(folder, CONFIG, needed(folder).whole, RATES, share(folder, 1 << 40))
    blocks = len(folder.decoder.blocks)
    assert (plan.device_blocks, plan.blocks, plan.device_head) == (blocks, blocks, True)
    assert plan.bottleneck == "device"
    here = plan.active - plan.device_active
    assert plan.token_seconds == pytest.approx(here / 1e6 + plan.device_active / 1e7)
    assert plan.token_seconds < plan_run(folder, CONFIG, needed(folder).whole, RATES).token_seconds / 4


@pytest.mark.usefixtures("bare")
def test_more_room_is_never_slower(tmp_path):
    folder = folder_of(tmp_path, "qwen3-moe")
    counted = room_on_device(folder, CONFIG, NONE, SMALLEST)
    seconds, blocks = [], []
    for step in range(12):
        room = counted.scratch + (counted.whole - counted.scratch) * step // 11
        plan = plan_run(folder, CONFIG, needed(folder).whole, RATES, share(folder, room))
        assert plan.device_bytes <= max(room, counted.scratch)
        seconds.append(plan.token_seconds)
        blocks.append(plan.device_blocks)
    assert blocks[0] == 0
    assert blocks[-1] == len(folder.decoder.blocks)
    assert seconds == sorted(seconds, reverse=True)
    assert seconds[-1] < seconds[0] / 4


@pytest.mark.usefixtures("bare")
def test_blocks_on_the_device_are_not_read_from_disk(tmp_path):
    folder = folder_of(tmp_path, "llama")
    placement, counted = needed(folder), room_on_device(folder, CONFIG, NONE, SMALLEST)
    alone = plan_run(folder, CONFIG, placement.least, RATES)
    half = counted.taken(counted.split(counted.whole, len(counted.blocks) // 2))
    shared = plan_run(folder, CONFIG, placement.least, RATES, share(folder, half))
    assert 0 < shared.device_blocks < shared.blocks
    assert shared.read < alone.read
    every = plan_run(folder, CONFIG, placement.least, RATES, share(folder, 1 << 40))
    assert (every.read, every.bottleneck) == (0, "device")


@pytest.mark.usefixtures("bare")
def test_experts_that_come_and_go_stay_with_the_cpu(tmp_path):
    folder = folder_of(tmp_path, "qwen3-moe")
    placement = needed(folder)
    plan = plan_run(folder, CONFIG, placement.least, RATES, share(folder, 1 << 40))
    alone = plan_run(folder, CONFIG, placement.least, RATES)
    routed = [one for one in folder.decoder.blocks if isinstance(one.feed_forward, RoutedFeedForward)]
    assert plan.experts_here == len(routed) > 0
    assert plan.read == alone.read
    assert plan.device_active < plan.active
    assert plan.expert_room == 0  # rates that say nothing of a bus
    rates = DeviceRates(memory=1e10, prompt=1e10, bus=1e9)
    quick = Rates(memory=1e6, disk=1.0)
    few = replace(share(folder, 1 << 40), rates=rates)
    singles = plan_run(folder, CONFIG, placement.least, quick, few)
    assert singles.expert_room > 0
    assert singles.read == alone.read  # they are not foretold


def test_a_device_is_measured_and_what_it_may_have_is_counted(fake, tmp_path):
    rates = measure_device("cuda:0", 512, 512)
    assert 1e6 < rates.memory < 1e13
    assert min(rates.prompt, rates.bus) > 0
    folder = folder_of(tmp_path, "llama")
    found = share_of(DeviceHost("cuda:0", vram=1 << 20), folder, CONFIG, rates)
    assert (found.name, found.room) == ("cuda:0", 1 << 20)
    assert machine_bytes() > 1 << 28


@pytest.fixture
def model(tmp_path):
    return write_bytes_model(tmp_path / "bytes")


@pytest.fixture
def known(tmp_path, monkeypatch, model):
    """Machine and device were measured before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "cache" / "arrowmind" / "machine.json"
    file.parent.mkdir(parents=True)
    machine = {"memory": 1e9, "disk": 1e8, "prompt": 1e11}
    device = {"memory": 1e10, "prompt": 1e12, "bus": 1e9}
    weights = model / "weights.arrow"
    keys = {measurements._device_key("cuda:0"): device, measurements._key(weights, 2): machine}
    file.write_text(json.dumps(keys))


def test_a_run_within_vram_is_compared_with_what_was_foretold(fake, model, known):
    assert measurements.known_device("cuda:0") == DeviceRates(1e10, 1e12, 1e9)
    overrides = {**SMALL, "device.blocks": 1}
    config = load_config(env={}, overrides=overrides)
    engine = ArrowEngine(model, device="cuda", threads=2, config=config, vram="64MiB")
    assert engine.comparison is None
    engine.generate("the cat", max_tokens=4, ignore_eos=True)
    assert engine.comparison.foretold_tokens_per_second > 0
    assert engine.info()["device_state"]["blocks"] == 1


def test_the_command_plans_with_a_device(fake, model, known, capsys):
    words = ["plan", str(model), "--vram", "64MiB", "--set", "device.name=cuda"]
    assert run([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["device"], found["vram"]) == ("cuda:0", 64 << 20)
    assert found["device_blocks"] == found["blocks"] > 0
    assert found["ram"] == machine_bytes()
    assert run([*words, "--ram", "64GiB", "--set", "device.blocks=1"]) == 0
    shown = capsys.readouterr().out
    assert f"1 of {found['blocks']} blocks, the head" in shown


def test_vram_without_a_device_is_an_error(model, capsys):
    assert run(["plan", str(model), "--vram", "1GiB", "--set", "device.name=cpu"]) != 0
    assert "there is no device" in capsys.readouterr().err


@pytest.mark.usefixtures("bare")
def test_long_prompts_pass_where_the_bus_is_fast(tmp_path):
    folder = folder_of(tmp_path, "llama")
    counted = room_on_device(folder, CONFIG, NONE, SMALLEST)
    one = counted.split(counted.whole, 1)
    room = counted.taken(one) + counted.passing
    config = load_config(env={}, overrides={**SMALL, "device.blocks": 1, "device.prompt_rows": 64})
    without = load_config(env={}, overrides={**SMALL, "device.blocks": 1, "device.prompt_rows": 0})
    rates = DeviceRates(memory=1e7, prompt=1e10, bus=1e9)
    given = DeviceShare("cuda:0", room, counted, rates)
    passing = plan_run(folder, config, needed(folder).whole, PROMPTED, given)
    alone = plan_run(folder, without, needed(folder).whole, PROMPTED, given)
    assert (passing.prompt_rows, alone.prompt_rows) == (64, 0)
    assert passing.device_bytes <= room
    assert passing.first_seconds < alone.first_seconds
    assert passing.token_seconds == alone.token_seconds
