"""Language models come up step by step: told, interruptible, and within their budget at every moment."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.engine.writers import write_bytes_model

from arrowmind import ArrowEngine
from arrowmind.bench.language.random_models import write_random_model
from arrowmind.config import load_config

IDS = [5, 9, 2, 30]
ONE_LAYER = {"residency.ram": "64GiB", "residency.max_layers": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bytes_model(tmp_path_factory.mktemp("models") / "bytes")


def test_every_step_is_told_in_order(folder):
    told = []
    engine = ArrowEngine(folder, on_progress=lambda *step: told.append(step))
    layers = engine.info()["layers"]
    engine.close()
    assert [step for step in told if step[2] == "layers"] == [
        (i, layers, "layers") for i in range(1, layers + 1)
    ]
    read = [step for step in told if step[2] == "reading weights"]
    assert read
    assert read[-1][0] == read[-1][1] > 0


def mapped(folder):
    return sum(str(folder) in line for line in Path("/proc/self/maps").read_text().splitlines())


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
@pytest.mark.parametrize("keys", [{}, ONE_LAYER])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_who_interrupts_the_opening_leaves_nothing(folder, keys, error):
    tasks = len(list(Path("/proc/self/task").iterdir()))

    def interrupt(done, total, what):
        if what == "layers":
            raise error("enough")

    config = load_config(env={}, overrides=keys)
    with pytest.raises(error, match="enough"):
        ArrowEngine(folder, config=config, threads=2, on_progress=interrupt)
    gc.collect()
    assert mapped(folder) == 0
    assert len(list(Path("/proc/self/task").iterdir())) <= tasks
    engine = ArrowEngine(folder, config=config, threads=2)
    assert engine.generate("x", max_tokens=1).token_ids
    engine.close()


COMMON = {
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "tie_word_embeddings": True,
    "vocab_size": 32_000,
    "max_position_embeddings": 512,
    "torch_dtype": "float32",
}
SMALL = {
    "model_type": "qwen3_moe",
    **COMMON,
    **{"hidden_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64},
    **{"num_experts": 16, "num_experts_per_tok": 2, "moe_intermediate_size": 128, "norm_topk_prob": True},
    **{"intermediate_size": 512, "num_hidden_layers": 4, "decoder_sparse_step": 1},
}
DENSE = {
    "model_type": "llama",
    **COMMON,
    **{"hidden_size": 1024, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 128},
    **{"intermediate_size": 4096, "num_hidden_layers": 12},
}


@pytest.fixture
def make(tmp_path):
    def made(config):
        write_random_model(tmp_path / "model", config)
        return tmp_path / "model"

    return made


def test_the_first_token_comes_before_the_whole_file_was_read(make):
    engine = ArrowEngine(make(SMALL), config=load_config(env={}, overrides=ONE_LAYER))
    found = engine.generate(IDS, max_tokens=1, ignore_eos=True)
    counters = engine.info()["residency"]
    blocks = engine._language.residence.weights.residency.block_bytes()
    engine.close()
    assert len(found.token_ids) == 1
    assert 0 < counters["bytes_read"] - counters["pinned_bytes"] < sum(blocks) * 0.6
    assert counters["peak_bytes"] <= counters["pinned_bytes"] + sum(blocks)


def test_the_first_blocks_come_while_nobody_waits(make):
    folder = make({**DENSE, "num_hidden_layers": 3, "hidden_size": 256, "intermediate_size": 512})
    overrides = {"residency.ram": "64GiB", "residency.max_layers": 2}
    engine = ArrowEngine(folder, config=load_config(env={}, overrides=overrides))
    assert engine.info()["residency"]["prefetched"] == 2
    engine.logits(IDS)
    counters = engine.info()["residency"]
    assert counters["hits"] + counters["late"] == 2
    whole = ArrowEngine(folder)
    np.testing.assert_array_equal(engine.logits(IDS), whole.logits(IDS))
    engine.close()


CHILD = """
import json, sys
from arrowmind import ArrowEngine
from arrowmind.bench.language.random_models import write_random_model
from arrowmind.errors import MemoryBudgetError
try:
    ArrowEngine(sys.argv[1], ram="1MiB")
except MemoryBudgetError as error:
    least = int(str(error).split("give at least ")[1].split(":")[0])
ram = least + (8 << 20)
moments = []
def status(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))
engine = ArrowEngine(sys.argv[1], ram=ram, on_progress=lambda *_: moments.append(status("VmRSS")))
engine.generate([5, 6, 7], max_tokens=4, ignore_eos=True)
counters = engine.info()["residency"]
print(json.dumps({"ram": ram, "peak": status("VmHWM"), "moments": moments, **counters}))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_no_moment_exceeds_the_budget(make):
    folder = make(DENSE)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    whole = (folder / "weights.arrow").stat().st_size
    assert found["peak"] <= found["ram"], (found, whole)
    assert found["moments"]
    assert found["evictions"] > 0
    assert found["peak_bytes"] < whole
