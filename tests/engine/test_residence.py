"""Language models larger than their memory: the same bits, within the budget."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.engine import decoders

from arrowmind import ArrowEngine, ArrowQuantizer, QuantizationConfig, _native
from arrowmind.config import load_config
from arrowmind.engine.decoder_compiler import compile_head
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.language import LanguageModel
from arrowmind.engine.residence import Residence, Room, fit, moving_parts, place
from arrowmind.errors import IntegrityError, InvalidArgumentError, MemoryBudgetError
from arrowmind.weights import StreamedWeights, WeightFile, convert_model

if TYPE_CHECKING:
    from pathlib import Path

IDS = [5, 9, 2, 30, 11, 4, 8, 1, 17, 3]
_NO_THRESHOLDS = {
    "perplexity_ratio": 1e9,
    "kl_mean": 1e9,
    "kl_99": 1e9,
    "top1_agreement": 0,
    "generation_agreement": 0,
}


def models(path: Path, family: str, kind: str) -> ModelFolder:
    """A small decoder of this family."""
    original, _, _ = decoders.write_family(path / "original", family, seed=3)
    convert_model(original, path / "fp32")
    if kind == "fp32":
        return ModelFolder(path / "fp32")
    config = QuantizationConfig(quant_type=kind, calibration="ptq", **_NO_THRESHOLDS)
    ArrowQuantizer(config).quantize(path / "fp32", path / kind)
    return ModelFolder(path / kind)


def squeezed(folder: ModelFolder, **keys: object) -> Residence:
    """Room for what parts share, and for the largest of them alone."""
    settings = load_config(
        env={}, overrides={f"residency.{key}": value for key, value in keys.items()}
    ).residency
    assert isinstance(folder.weights, WeightFile)
    parts = moving_parts(folder.decoder)
    with pytest.raises(MemoryBudgetError, match="give at least") as error:
        StreamedWeights(folder.weights, parts, 1)
    least = int(str(error.value).split("give at least ")[1])
    return Residence(StreamedWeights(folder.weights, parts, least), settings)


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        ("llama", "fp32"),
        ("qwen2", "int8"),
        ("qwen3", "int4"),
        ("qwen3-moe", "fp32"),
        ("qwen3-moe", "int8"),
        ("qwen3-moe", "int4"),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_logits_have_the_bits_of_a_model_in_memory(tmp_path, family, kind, threads):
    folder = models(tmp_path, family, kind)
    pool = _native.ThreadPool(threads)
    whole = LanguageModel(folder.decoder, folder.weights, folder.max_tokens, pool)
    residence = squeezed(folder)
    model = LanguageModel(folder.decoder, residence.weights, folder.max_tokens, pool, residence=residence)
    expected = whole.logits(whole.states([IDS])[0])
    for _ in range(3):
        np.testing.assert_array_equal(model.logits(model.states([IDS])[0]), expected)
    counters = residence.counters()
    assert counters["evictions"] + counters["hits"] > 0
    assert counters["peak_bytes"] <= residence.weights.residency.budget


@pytest.fixture
def compiled_heads(monkeypatch):
    """Names of the threads that compile a head, as they do."""
    names: list[str] = []

    def spy(*given):
        names.append(threading.current_thread().name)
        return compile_head(*given)

    monkeypatch.setattr("arrowmind.engine.language.compile_head", spy)
    return names


def test_the_head_is_packed_when_it_is_needed(tmp_path, compiled_heads):
    folder = models(tmp_path, "qwen2", "int8")
    compiled_heads.clear()
    residence, pool = squeezed(folder), _native.ThreadPool(1)
    model = LanguageModel(folder.decoder, residence.weights, folder.max_tokens, pool, residence=residence)
    assert not model.gives_peaks
    states = model.states([IDS])[0]
    assert compiled_heads == []
    model.prepare_head()
    model.logits(states)
    model.logits(states)
    assert len(compiled_heads) == 1


def test_a_model_that_stays_has_its_head_at_once(tmp_path, compiled_heads):
    folder = models(tmp_path, "qwen2", "fp32")
    LanguageModel(folder.decoder, folder.weights, folder.max_tokens, _native.ThreadPool(1))
    assert compiled_heads == [threading.current_thread().name]


def test_a_damaged_table_is_told_before_it_is_packed(tmp_path):
    folder = models(tmp_path, "qwen2", "int8")
    weights, table = folder.weights, folder.decoder.head.weight
    assert isinstance(weights, WeightFile)
    assert table == folder.decoder.embedding
    with weights.path.open("r+b") as file:
        file.seek(weights.offset(table) + 5)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    folder = ModelFolder(folder.path, verify="off")  # so small a file is one chunk of its tree
    residence, pool = squeezed(folder), _native.ThreadPool(1)
    with pytest.raises(IntegrityError, match=table):
        LanguageModel(folder.decoder, residence.weights, folder.max_tokens, pool, residence=residence)


def test_what_fits_stays(tmp_path):
    folder = models(tmp_path, "llama", "fp32")
    settings = load_config(env={}).residency
    assert fit(folder.weights, folder.decoder, Room(0, 0, 0), 1 << 40, settings) is None


def test_an_engine_with_room_keeps_all(tmp_path):
    folder = models(tmp_path, "llama", "fp32")
    engine = ArrowEngine(folder.path, ram="64GiB")
    assert "residency" not in engine.info()
    np.testing.assert_array_equal(engine.logits(IDS), ArrowEngine(folder.path).logits(IDS))


@pytest.mark.parametrize("ram", ["much", "4 parsecs", 0, -1, "0", "1e99GiB", True, 2.5])
def test_a_budget_that_is_no_size_is_refused(tmp_path, ram):
    folder = models(tmp_path, "llama", "fp32")
    with pytest.raises(InvalidArgumentError, match="ram="):
        ArrowEngine(folder.path, ram=ram)


def test_an_impossible_budget_says_how_much_is_needed(tmp_path):
    folder = models(tmp_path, "llama", "fp32")
    with pytest.raises(MemoryBudgetError, match="give at least"):
        ArrowEngine(folder.path, ram="1MiB")


def test_other_kinds_of_weights_are_refused(tmp_path):
    original, _, _ = decoders.write_family(tmp_path / "original", "llama", seed=3)
    convert_model(original, tmp_path / "parquet", formats=["parquet-v1"])
    with pytest.raises(InvalidArgumentError, match="convert"):
        ArrowEngine(tmp_path / "parquet", ram="64GiB")


_IN_A_CHILD = """
import os, sys
from arrowmind import _native
residency = _native.Residency.open(os.fsencode(sys.argv[1]), 1 << 20)
residency.add([(0, 4096)], 0)
residency.seal()
if os.fork() == 0:
    try:
        residency.acquire([0])
    except Exception as error:
        print(type(error).__name__, flush=True)
    os._exit(0)
os.wait()
"""


def test_a_forked_process_is_told_to_open_its_own(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(bytes(8192))
    done = subprocess.run(
        [sys.executable, "-c", _IN_A_CHILD, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "DeviceError"


def rounds(folder: ModelFolder, residence: Residence, count: int = 4) -> dict[str, float]:
    """Runs a model so often, with the bits of one in memory; what was counted."""
    pool = _native.ThreadPool(1)
    whole = LanguageModel(folder.decoder, folder.weights, folder.max_tokens, pool)
    expected = whole.logits(whole.states([IDS])[0])
    model = LanguageModel(folder.decoder, residence.weights, folder.max_tokens, pool, residence=residence)
    for _ in range(count):
        np.testing.assert_array_equal(model.logits(model.states([IDS])[0]), expected)
    return residence.counters()


@pytest.mark.parametrize("family", ["llama", "qwen3-moe"])
def test_without_overlap_nothing_is_read_ahead(tmp_path, family):
    folder = models(tmp_path, family, "fp32")
    residence = squeezed(folder, overlap=False)
    residence.weights.residency.set_budget(residence.weights.residency.needed_bytes * 3)
    counters = rounds(folder, residence)
    assert counters["prefetched"] == 0
    assert counters["misses"] > 0


def test_experts_that_are_used_often_are_read_ahead(tmp_path):
    folder = models(tmp_path, "qwen3-moe", "fp32")
    found = {}
    for threshold in (0.25, 1.0):
        residence = squeezed(folder, expert_threshold=threshold, foresee=False)
        native = residence.weights.residency
        largest = native.needed_bytes - int(native.counters()["pinned_bytes"])
        native.set_budget(native.needed_bytes + 6 * largest)  # seven of 24, of which a round uses 15
        found[threshold] = rounds(folder, residence, 12)
    assert found[0.25]["prefetched"] > 0
    assert found[1.0]["prefetched"] == 0
    assert found[0.25]["misses"] < found[1.0]["misses"]


def test_experts_of_the_next_layer_are_guessed(tmp_path):
    folder = models(tmp_path, "qwen3-moe", "fp32")
    found = {}
    for foresee in (True, False):
        residence = squeezed(folder, foresee=foresee)
        native = residence.weights.residency
        largest = native.needed_bytes - int(native.counters()["pinned_bytes"])
        native.set_budget(native.needed_bytes + 6 * largest)
        found[foresee] = rounds(folder, residence, 12)
    assert found[True]["prefetched"] > 0
    assert found[False]["prefetched"] == 0
    assert found[True]["misses"] < found[False]["misses"]


@pytest.mark.parametrize("family", ["llama", "qwen3-moe"])
def test_no_more_layers_are_in_memory_than_may(tmp_path, family):
    folder = models(tmp_path, family, "fp32")
    found = {}
    for layers in (0, 1):
        keys = {"residency.ram": "64GiB", "residency.max_layers": layers}
        engine = ArrowEngine(folder.path, config=load_config(env={}, overrides=keys))
        for _ in range(3):
            engine.logits(IDS)
        found[layers] = engine.info().get("residency")
        engine.close()
    assert found[0] is None  # all of it stays
    placement = place(folder.weights, folder.decoder, Room(0, 0, 0), 1 << 40, 1)
    assert placement.budget < sum(placement.sizes)
    whole = StreamedWeights(folder.weights, placement.parts, 1 << 40).residency
    assert found[1]["peak_bytes"] < whole.counters()["pinned_bytes"] + sum(whole.block_bytes())
    assert found[1]["evictions"] > 0
