"""A language model in less memory than it has bytes: made of random numbers, planned, run.

What random weights write means nothing. What it costs does: memory, and time on this machine's disk.
`python examples/large_model.py run|plan RAM` does it in this process and answers in JSON.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind import ArrowEngine, _native
from arrowmind.bench.language.random_models import write_random_model
from arrowmind.bench.resident import peak_bytes
from arrowmind.config import load_config
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.machine import disk_rate, memory_rate
from arrowmind.engine.planning import plan_run
from arrowmind.engine.rates import Rates
from arrowmind.errors import OptimizationError

if TYPE_CHECKING:
    from collections.abc import Callable

    Advance = Callable[[int, int, str], None]

MODEL = Path("models/random-experts")
RAM = 384 << 20
TOKENS = 48
# 64 experts in each of 8 layers, 4 of them for a token: the kind of model of which a token meets a part.
CONFIG = {
    "model_type": "qwen3_moe",
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "num_experts": 64,
    "num_experts_per_tok": 4,
    "moe_intermediate_size": 512,
    "norm_topk_prob": True,
    "intermediate_size": 2048,
    "num_hidden_layers": 8,
    "decoder_sparse_step": 1,
    "hidden_act": "silu",
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "tie_word_embeddings": True,
    "vocab_size": 8000,
    "torch_dtype": "float32",
}


def make(advance: Advance) -> None:
    """The model folder; one that was begun is begun anew."""
    if (MODEL / "weights.arrow").exists():
        return
    shutil.rmtree(MODEL, ignore_errors=True)
    write_random_model(MODEL, CONFIG, advance)


def foretold(ram: int) -> float:
    """Tokens per second that the planner foretells, before the model is opened, in a process of its own.

    What a process holds already counts, and the one that calls this has held other models.
    """
    return float(_apart("plan", str(ram))["tokens_per_second"])


def run(ram: int) -> dict[str, Any]:
    """Runs the model in a process of its own; its memory is what the system says it had at most."""
    return _apart("run", str(ram))


def _apart(*words: str) -> dict[str, Any]:
    command = [sys.executable, __file__, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OptimizationError(f"running {MODEL} failed: {done.stderr.strip()[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def plan(ram: int) -> dict[str, Any]:
    """What the planner says."""
    threads = _native.ThreadPool(_native.available_cpus())
    rates = Rates(memory_rate(threads), disk_rate(MODEL / "weights.arrow"))
    return {"tokens_per_second": 1 / plan_run(ModelFolder(MODEL), load_config(), ram, rates).token_seconds}


def generate(ram: int) -> dict[str, Any]:
    """Generates, and tells what it took."""
    engine = ArrowEngine(MODEL, ram=ram)
    engine.generate([1, 2, 3], max_tokens=4, ignore_eos=True)
    started = time.perf_counter()
    made = engine.generate([4, 5, 6], max_tokens=TOKENS, ignore_eos=True, temperature=1000.0, seed=1)
    seconds = time.perf_counter() - started
    return {
        "tokens_per_second": len(made.token_ids) / seconds,
        "peak_bytes": peak_bytes(),
        "residency": engine.info().get("residency", {}),
    }


if __name__ == "__main__":
    print(json.dumps({"plan": plan, "run": generate}[sys.argv[1]](int(sys.argv[2]))))
