"""What `arrowmind bench gpu` holds against PyTorch: with it, without it, and with one that fails."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from types import SimpleNamespace

import pytest
from tests.device.fake import install

from arrowmind.bench.command import main
from arrowmind.bench.devices import command, peers, products, race_report, report
from arrowmind.bench.devices.peer import Peer
from arrowmind.bench.devices.peers import Peers
from arrowmind.bench.devices.races import measure_race, model_of
from arrowmind.bench.devices.shapes import LARGE, RACES
from arrowmind.bench.process import WorkerError
from arrowmind.engine.device_probe import BACKENDS_VARIABLE
from arrowmind.observe import no_progress

SMALL = ["gpu", "--device", "cpu", "--shapes", "48x128", "--rows", "1", "--widths", "int8", "--rounds", "2"]


@pytest.fixture(autouse=True)
def short_rows(monkeypatch):
    monkeypatch.setattr(command, "VOCABULARIES", (300,))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Models are made once."""
    return tmp_path_factory.mktemp("cache")


def run(tmp_path, cache, *more):
    out = tmp_path / "gpu.json"
    assert main([*SMALL, "--cache", str(cache), "--out", str(out), *more]) == 0
    return json.loads(out.read_text())


class Torch:
    """Stands in for the other process."""

    def __init__(self, job, module):
        assert module == "arrowmind.bench.devices.peer"
        self.asked = []
        Torch.last = self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def ask(self, do, **arguments):
        self.asked.append((do, arguments))
        if do == "rate":
            return {"operations_per_s": 2e12, "name": "torch on nothing"}
        return {"seconds": [0.5, 1.0, 0.25], "name": "torch on nothing"}


@pytest.fixture
def with_torch(monkeypatch):
    monkeypatch.setattr(peers, "WorkerProcess", Torch)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: SimpleNamespace(name=name))


def test_without_torch_it_says_so(tmp_path, cache, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    result = run(tmp_path, cache, "--races", "tiny,tiny-encoder")
    assert result["tensor"] == {"not_measured": "torch is not installed"}
    writer, encoder = result["races"]["tiny"], result["races"]["tiny-encoder"]
    # Engines on the CPU have no device; the encoder's plan runs on the cpu device.
    assert [form["without_graphs"] for form in writer["forms"].values()] == [None, None]
    assert all(form["without_graphs"] > 0 for form in encoder["forms"].values())
    for race in (writer, encoder):
        assert race["peer"] == {"not_measured": "torch and transformers are not installed"}
        assert all(form["rate"] > 0 and form["ratio"] is None for form in race["forms"].values())
    assert (writer["unit"], encoder["unit"]) == ("tokens/s", "sentences/s")
    for found in writer["forms"].values():
        assert found["roofline"] == pytest.approx(
            found["rate"] * found["weight_bytes"] / result["limits"]["memory"]
        )
    assert [one["tensor_share"] for one in result["products"]] == [None]
    printed = " ".join(capsys.readouterr().out.split())
    assert "bf16 products: not measured: torch is not installed" in printed
    assert "not measured: torch and transformers are not installed" in printed


def test_beside_torch(tmp_path, cache, with_torch, capsys):
    result = run(tmp_path, cache, "--races", "tiny,tiny-encoder", "--compiler", "eager")
    (product,) = result["products"]
    assert product["tensor_share"] == pytest.approx(product["operations_per_s"] / 2e12)
    writer, encoder = result["races"]["tiny"], result["races"]["tiny-encoder"]
    assert writer["peer"] == {"rate": RACES["tiny"].tokens / 0.5, "name": "torch on nothing"}
    assert encoder["peer"]["rate"] == RACES["tiny-encoder"].batch / 0.5
    for race in (writer, encoder):
        for found in race["forms"].values():
            assert found["ratio"] == pytest.approx(found["rate"] / race["peer"]["rate"])
    ((do, asked),) = Torch.last.asked
    assert do == "encoder"
    assert asked["backend"] == "eager"
    assert (asked["device"], asked["batch"], asked["length"]) == ("cpu", 4, 8)
    assert "2.0 Top/s (torch on nothing)" in capsys.readouterr().out


def test_a_race_runs_with_graphs_and_without(tmp_path, cache, with_torch, monkeypatch):
    monkeypatch.setenv(BACKENDS_VARIABLE, str(tmp_path))
    install("fake", tmp_path)
    for name in ("tiny", "tiny-encoder"):
        peers = Peers("cuda:0", tmp_path, 1)
        more = {"threads": 1, "rounds": 3, "memory": 1e9, "progress": no_progress}
        race = measure_race(RACES[name], "cuda:0", peers, cache, **more)
        assert all(form["rate"] > 0 and form["without_graphs"] > 0 for form in race["forms"].values())


def test_a_peer_that_fails_is_told_and_the_others_go_on(tmp_path, cache, with_torch, monkeypatch):
    def ask(self, do, **_):
        raise WorkerError(f"[bench] torch failed at {do!r}: OutOfMemoryError: 14 GiB")

    monkeypatch.setattr(Torch, "ask", ask)
    result = run(tmp_path, cache, "--races", "tiny")
    assert "OutOfMemoryError" in result["races"]["tiny"]["peer"]["not_measured"]
    assert result["races"]["tiny"]["forms"]["int8"]["rate"] > 0


def test_nothing_is_raced_where_there_is_no_card(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(Peers, "ask", lambda *_, **__: pytest.fail("torch was asked"))
    for more in ((), ("--races", "none")):
        result = run(tmp_path, cache, *more)
        assert result["races"] == {}
        assert result["tensor"] == {"not_measured": "it is no card with memory of its own"}


def test_how_torch_names_devices(tmp_path, with_torch):
    for key, name in (
        ("cuda:1", "cuda:1"),
        ("rocm:0", "cuda:0"),
        ("rocm", "cuda:0"),
        ("mps:0", "mps"),
        ("cpu", "cpu"),
    ):
        assert "seconds" in Peers(key, tmp_path, 1).ask("decoder")
        assert Torch.last.asked[0][1]["device"] == name
    assert Peers("vulkan:0", tmp_path, 1).ask("rate") == {"not_measured": "torch has no device for vulkan"}


def test_what_the_other_process_answers(monkeypatch):
    name = "arrowmind.bench.contenders.torch_device"
    fake = SimpleNamespace(
        bf16_rate=lambda device, size: {"operations_per_s": size, "name": device},
        time_decoder=None,
        time_encoder=None,
    )
    import arrowmind.bench.contenders as package

    monkeypatch.setitem(sys.modules, name, fake)
    monkeypatch.setattr(package, "torch_device", fake, raising=False)
    peer = Peer(None)
    assert peer.handle({"do": "rate", "device": "cuda:0", "size": 3}) == {
        "operations_per_s": 3,
        "name": "cuda:0",
    }
    assert "KeyError" in peer.handle({"do": "sing"})["error"]
    assert "unexpected keyword" in peer.handle({"do": "rate", "colour": 1})["error"]


def test_models_are_made_once_and_half_of_one_is_made_again(tmp_path):
    folder = model_of(RACES["tiny"], "int4", tmp_path)
    weights = folder / "weights.arrow"
    made = weights.stat().st_mtime_ns
    assert model_of(RACES["tiny"], "int4", tmp_path) == folder
    assert weights.stat().st_mtime_ns == made
    size = weights.stat().st_size
    weights.unlink()
    (folder / "rubbish").touch()
    model_of(RACES["tiny"], "int4", tmp_path)
    assert weights.stat().st_size == size
    assert not (folder / "rubbish").exists()


def test_a_card_is_measured_with_the_large_shapes():
    parts = [RACES[name] for name in LARGE]
    assert [(race.writes, race.batch) for race in parts] == [(True, 1), (True, 1), (False, 256)]
    seven = RACES["7b"].config
    heads = seven["hidden_size"] // seven["num_attention_heads"] * seven["num_key_value_heads"]
    block = (
        2 * seven["hidden_size"] * (seven["hidden_size"] + heads)
        + 3 * seven["hidden_size"] * seven["intermediate_size"]
    )
    assert 6.5e9 < 28 * block + seven["vocab_size"] * seven["hidden_size"] < 7.5e9


CARD = {"is_software": False, "shares_host_memory": False, "key": "cuda:0", "name": "a card", "driver": ""}


def test_targets_of_races():
    race = {
        "writes": True,
        "peer": {"rate": 10.0, "name": "torch"},
        "forms": {
            "int8": {"rate": 9.0, "ratio": 0.9, "roofline": 0.8},
            "int4": {"rate": 40.0, "ratio": 4.0, "roofline": 0.6},
        },
    }
    told = [(one.what, one.measured, one.reached) for one in race_report.judge_race("7b", race)]
    assert told == [
        ("7b int8", "80 %", True),
        ("7b int8", "0.90 x", False),
        ("7b int4", "60 %", False),
        ("7b int4", "4.00 x", True),
        ("7b, the fastest", "4.00 x", True),
    ]
    for found in race["forms"].values():
        found["ratio"] = None
    race["peer"] = {"not_measured": "torch is not installed"}
    told = [(one.measured, one.reached) for one in race_report.judge_race("7b", race)]
    assert told[1] == told[4] == ("not measured: torch is not installed", None)
    encoder = {"writes": False, "peer": {"rate": 1.0}, "forms": {"int8": {"rate": 1.5, "ratio": 1.5}}}
    (verdict,) = race_report.judge_race("minilm", encoder)
    assert verdict.target == ">= 1 x Hugging Face FP16, torch.compile"
    assert verdict.reached


@pytest.mark.parametrize(("share", "reached"), [(0.7, True), (0.5, False), (None, None)])
def test_targets_of_large_products(share, reached):
    given = {"width": "int4", "share": 0.9, "precision": "mixed"}
    rows = [{**given, "rows": rows, "tensor_share": share} for rows in (256, 4096)]
    rows.append({**given, "rows": 4096, "tensor_share": 0.2, "precision": "float32"})
    result = {"device": CARD, "products": rows, "tensor": {"not_measured": "torch is not installed"}}
    (verdict,) = report.judge(result)
    assert verdict.what == "int4, mixed, 1024 rows and more"
    assert verdict.reached is reached
    if share is None:
        assert verdict.measured == "not measured: torch is not installed"


def test_many_rows_are_checked_at_both_ends():
    assert products._some(128) == list(range(128))
    assert products._some(4096) == [*range(64), *range(4032, 4096)]


def test_races_that_are_none(capsys):
    with pytest.raises(SystemExit):
        main(["gpu", "--races", "marathon"])
    assert re.search(r"\['marathon'\] are unknown; use some of qwen2.5-0.5b, 7b", capsys.readouterr().err)


@pytest.mark.torch
def test_torch_itself_on_the_cpu(tmp_path, cache):
    """The way that a card takes, with next to no work and without a compiler of C++."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    result = run(tmp_path, cache, "--races", "tiny,tiny-encoder", "--compiler", "eager")
    assert result["tensor"]["operations_per_s"] > 0
    assert result["tensor"]["name"].startswith("torch ")
    for race in result["races"].values():
        assert race["peer"]["rate"] > 0
        assert all(found["ratio"] > 0 for found in race["forms"].values())
