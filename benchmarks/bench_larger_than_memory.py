"""Language models several times larger than the memory they are given, under a hard limit.

    python benchmarks/bench_larger_than_memory.py build/large-experts --shape experts --ram 2GiB
    python benchmarks/bench_larger_than_memory.py build/large-experts --shape experts --peers llama.cpp

Makes a model of random INT8 matrices (once), and decodes with it in a process of its own, which a memory
cgroup (version 1) holds to `--ram`: the promise is kept, or the process is killed. Before and after, the file
is read past the page cache as fast as the disk gives it. Printed are tokens per second once the budget is
full, what was read for a token, and the share of the limit: the time that these bytes take alone, by the time
that a token took. What was read ahead in vain does not count. The bytes of a first token are those that it
needs: what stays, and what came of the rest.
With `--peers llama.cpp` the same codes are written as GGUF beside the folder, and llama.cpp decodes them,
mapped, alone in such a group, in turn with ours; pages of both files are dropped before each run.
Virtual machines may give free memory back to their host, from which it comes back page by page, slower than
the disk is read. So before each run as much memory as it may take is taken once and freed; `--new-memory`
leaves that out.
The programs shall lie in the page cache, only the models not: each is run on a tiny model of the same shape
first (some machines drop pages that nothing used for half a minute, and Python then waits for its modules).
Shapes: `experts` (the layers of Qwen3-30B-A3B, ten of them, 128 experts, 8 for a token), `few-experts` (those
of Mixtral, narrowed, 8 and 2), `dense`. Routes of random weights are random: nothing can be foretold of them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind import _native
from arrowmind.bench.language.random_models import write_random_model
from arrowmind.config import load_config
from arrowmind.config.sizes import parse_bytes
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.machine import disk_rate, memory_rate
from arrowmind.engine.planning import plan_run
from arrowmind.engine.rates import Rates

if TYPE_CHECKING:
    from collections.abc import Callable

COMMON = {
    "hidden_act": "silu",
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "tie_word_embeddings": True,
    "vocab_size": 32_000,
}
QWEN3_MOE = {
    "model_type": "qwen3_moe",
    **COMMON,
    **{"hidden_size": 2048, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128},
    **{"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768, "norm_topk_prob": True},
    **{"intermediate_size": 6144, "num_hidden_layers": 10, "decoder_sparse_step": 1},
}
SHAPES: dict[str, dict[str, Any]] = {
    "experts": QWEN3_MOE,
    "few-experts": {
        "model_type": "mixtral",
        **COMMON,
        **{"hidden_size": 2048, "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 128},
        **{"num_local_experts": 8, "num_experts_per_tok": 2, "intermediate_size": 7168},
        **{"num_hidden_layers": 16},
    },
    "dense": {
        "model_type": "llama",
        **COMMON,
        **{"hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128},
        **{"intermediate_size": 14_336, "num_hidden_layers": 29},
    },
}
TINY = {
    **{"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32},
    **{"intermediate_size": 128, "moe_intermediate_size": 128, "num_hidden_layers": 1},
}
"""Of a model that brings a program into the page cache."""

DISK = 2 << 30
"""Bytes that are read to measure the disk."""

WOKEN = 4
"""Times its limit that a run finds awake: which of the free pages it is given, the system decides."""

LLAMA_CPP = "llama.cpp"
TARGETS = {"experts": 8.0, "few-experts": 3.0, "dense": 1.2}
"""Times faster than llama.cpp that a shape shall be."""
LIMIT_SHARE, FIRST_FACTOR, FORETOLD = 0.8, 1.5, 0.25


def make(folder: Path, shape: str, **changes: int) -> None:
    """A model folder of this shape with random weights."""
    write_random_model(folder, {**SHAPES[shape], "torch_dtype": "float32", **changes})


def write_gguf(folder: Path) -> None:
    """The same codes as GGUF beside the folder's weights."""
    from large_gguf import write_large_gguf  # noqa: PLC0415  beside this script

    write_large_gguf(folder, folder / "model.gguf")


IO = """
def bytes_read():
    return int(dict(line.split(": ") for line in open("/proc/self/io"))["read_bytes"])
"""
CHILD = f"""
import json, sys, time
began = time.perf_counter()
{IO}
from arrowmind import ArrowEngine
folder, ram, tokens = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
engine = ArrowEngine(folder, ram=ram)
opened = time.perf_counter() - began
first = engine.generate([5, 6, 7], max_tokens=1, ignore_eos=True)
first_seconds, moved = time.perf_counter() - began, engine.info().get("residency", {{}})
held = 0  # the memory of the budget is new to the process until it is full
for _ in range(32):
    before, held = held, engine.info().get("residency", {{}}).get("resident_bytes", 0)
    if held <= 1.01 * before:
        break
    engine.generate([5, 6, 7, 8], max_tokens=1, ignore_eos=True)
warm_bytes = bytes_read()
start = engine.info().get("residency", {{}})
started = time.perf_counter()
made = engine.generate([5, 6, 7, 8], max_tokens=tokens, ignore_eos=True, temperature=1000.0, seed=1)
seconds = time.perf_counter() - started
end = engine.info().get("residency", {{}})
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({{"seconds": seconds, "tokens": len(made.token_ids), "opened": opened,
    "first_seconds": first_seconds, "first": first.token_ids[0],
    "first_bytes": moved.get("bytes_read", 0) - moved.get("bytes_wasted", 0),
    "read": bytes_read() - warm_bytes, "peak_rss": int(status["VmHWM"].split()[0]) * 1024,
    "counters": {{key: end[key] - start[key] for key in end if key not in ("resident_bytes", "peak_bytes",
    "pinned_bytes")}}}}))
"""
PEER = f"""
import json, sys, time
began = time.perf_counter()
{IO}
from pathlib import Path
import numpy as np
from arrowmind.bench.language.llama_session import LlamaSession
path, threads, tokens = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
session = LlamaSession(path, threads, context=int(sys.argv[4]))
opened = time.perf_counter() - began
first = int(session.feed([5, 6, 7]).argmax())
first_seconds, first_bytes = time.perf_counter() - began, bytes_read()
session.restart()
ids = np.random.default_rng(1).integers(0, 32000, tokens).tolist()
started = time.perf_counter()
for token in ids:
    session.feed([token])
seconds = time.perf_counter() - started
print(json.dumps({{"seconds": seconds, "tokens": tokens, "opened": opened, "first_seconds": first_seconds,
    "first_bytes": first_bytes, "first": first, "read": bytes_read() - first_bytes}}))
"""


def limited(limit: int, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command in a memory cgroup of its own."""
    group = Path("/sys/fs/cgroup/memory") / f"arrowmind-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(limit))

        def enter() -> None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

        # Modules of an installed package are compiled once, not in each process.
        env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        return subprocess.run(
            arguments, capture_output=True, text=True, check=False, preexec_fn=enter, env=env
        )
    finally:
        time.sleep(0.2)
        group.rmdir()


def run_in(limit: int, script: str, *arguments: object) -> dict[str, Any]:
    """What a script prints as JSON at its end, alone in a group of this limit."""
    done = limited(limit, [sys.executable, "-c", script, *map(str, arguments)])
    if done.returncode:
        sys.exit(f"the process ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def drop(path: Path) -> None:
    """Drops the pages of a file from the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def wake_memory(size: int) -> None:
    """Takes so many bytes and frees them, so that this machine has them of its host when they are wanted."""
    touch = "import sys, numpy; numpy.empty(int(sys.argv[1]), numpy.uint8)[::4096] = 1"
    subprocess.run([sys.executable, "-c", touch, str(size)], check=True)


class Programs:
    """Runs of the contenders on a tiny model, so that what they consist of lies in the page cache."""

    def __init__(self, folder: Path, chosen: argparse.Namespace) -> None:
        self._folder, self._threads, self._context = folder / "tiny", chosen.threads, chosen.context
        make(self._folder, chosen.shape, **TINY)
        if chosen.peers:
            write_gguf(self._folder)

    def wake_ours(self, limit: int) -> None:
        """Ours."""
        run_in(limit, CHILD, self._folder, limit, 1)

    def wake_peer(self, limit: int) -> None:
        """The peer's."""
        run_in(limit, PEER, self._folder / "model.gguf", self._threads, 1, self._context)


def foretold(folder: Path, limit: int, threads: int) -> float:
    """Seconds of a token that `arrowmind plan` says, with the settings of the environment."""
    opened = ModelFolder(folder, verify="off")
    rates = Rates(memory_rate(_native.ThreadPool(threads)), disk_rate(folder / "weights.arrow"))
    return plan_run(opened, load_config(), limit, rates).token_seconds


def measure(chosen: argparse.Namespace, limit: int, programs: Programs) -> dict[str, list[dict[str, Any]]]:
    """Rounds in turn: ours, then the peer; with each of ours the disk around it, and what was foretold."""
    weights, gguf = chosen.folder / "weights.arrow", chosen.folder / "model.gguf"
    rounds: dict[str, list[dict[str, Any]]] = {"ours": [], "peer": []}
    woken = 0 if chosen.new_memory else WOKEN * limit
    stays = sum(size for _, size in _native.EarlyWeights(os.fsencode(weights), False).read())
    for _ in range(chosen.rounds):
        said = foretold(chosen.folder, limit, chosen.threads)
        before = disk_rate(weights, DISK)
        drop(weights)
        programs.wake_ours(limit)
        wake_memory(woken)
        ours = run_in(limit, CHILD, chosen.folder, limit, chosen.tokens)
        ours["first_bytes"] += stays
        ours |= {"disk": (before + disk_rate(weights, DISK)) / 2, "foretold": said}
        rounds["ours"].append(ours)
        if chosen.peers:
            drop(weights)
            drop(gguf)
            programs.wake_peer(limit)
            wake_memory(woken)
            rounds["peer"].append(
                run_in(limit, PEER, gguf, chosen.threads, chosen.peer_tokens, chosen.context)
            )
    return rounds


def missed(run: dict[str, Any]) -> float:
    """Bytes that were missing; those that were read ahead in vain do not count."""
    counters = run["counters"]
    bytes_: float = counters["bytes_read"] - counters["bytes_wasted"]
    return bytes_


def summary(rounds: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """Medians over rounds, and ratios round by round."""

    def median(of: str, figure: Callable[[dict[str, Any]], float]) -> float:
        return statistics.median(map(figure, rounds[of]))

    found = {
        "tokens per second": median("ours", lambda run: run["tokens"] / run["seconds"]),
        "bytes read for a token": median("ours", lambda run: missed(run) / run["tokens"]),
        "disk, bytes per second": median("ours", lambda run: run["disk"]),
        "share of the limit": median("ours", lambda run: missed(run) / run["disk"] / run["seconds"]),
        "largest resident memory": median("ours", lambda run: run["peak_rss"]),
        "opening, seconds": median("ours", lambda run: run["opened"]),
        "first token, seconds": median("ours", lambda run: run["first_seconds"]),
        "first token by its bytes": median(
            "ours", lambda run: run["first_seconds"] * run["disk"] / run["first_bytes"]
        ),
        "foretold by measured": median("ours", lambda run: run["foretold"] * run["tokens"] / run["seconds"]),
    }
    if rounds["peer"]:
        found |= {
            "llama.cpp, tokens per second": median("peer", lambda run: run["tokens"] / run["seconds"]),
            "llama.cpp, bytes read for a token": median("peer", lambda run: run["read"] / run["tokens"]),
            "llama.cpp, first token, seconds": median("peer", lambda run: run["first_seconds"]),
            "by llama.cpp": statistics.median(
                theirs["seconds"] / theirs["tokens"] / (ours["seconds"] / ours["tokens"])
                for ours, theirs in zip(rounds["ours"], rounds["peer"], strict=True)
            ),
        }
    return found


def verdicts(figures: dict[str, float], shape: str, rounds: dict[str, list[dict[str, Any]]]) -> list[str]:
    """A line for each number that shall be reached."""
    checks = [
        ("share of the limit", f">= {LIMIT_SHARE}", figures["share of the limit"] >= LIMIT_SHARE),
        (
            "first token by its bytes",
            f"<= {FIRST_FACTOR}",
            figures["first token by its bytes"] <= FIRST_FACTOR,
        ),
        ("foretold by measured", f"within {FORETOLD}", abs(figures["foretold by measured"] - 1) <= FORETOLD),
    ]
    lines = [
        f"{'pass' if reached else 'FAIL'}  {what} {figures[what]:.2f} ({wanted})"
        for what, wanted, reached in checks
    ]
    if rounds["peer"]:
        ratio, target = figures["by llama.cpp"], TARGETS[shape]
        lines.append(f"{'pass' if ratio >= target else 'FAIL'}  {ratio:.2f} x llama.cpp (>= {target})")
        same = [one["first"] for one in rounds["ours"]] == [one["first"] for one in rounds["peer"]]
        lines.append(f"{'pass' if same else 'FAIL'}  the first token is that of llama.cpp")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="experts")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--ram", default="2GiB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--context", type=int, default=512, help="tokens that there is room for, for both")
    parser.add_argument("--peers", choices=[LLAMA_CPP])
    parser.add_argument("--peer-tokens", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--new-memory", action="store_true", help="memory as the host gives it")
    parser.add_argument("--make", action="store_true", help="make the files and end")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if not chosen.folder.exists():
        print(f"making {chosen.folder}", flush=True)
        make(chosen.folder, chosen.shape, **({"num_hidden_layers": chosen.layers} if chosen.layers else {}))
    if chosen.peers and not (chosen.folder / "model.gguf").exists():
        print("writing the same as GGUF", flush=True)
        write_gguf(chosen.folder)
    if chosen.make:
        return
    os.environ["ARROWMIND_GENERATION_CACHE_TOKENS"] = str(chosen.context)
    with tempfile.TemporaryDirectory() as folder:
        rounds = measure(chosen, parse_bytes(chosen.ram, "ram"), Programs(Path(folder), chosen))
    figures = summary(rounds)
    size = (chosen.folder / "weights.arrow").stat().st_size
    print(f"{chosen.shape}, {size / 1e9:.2f} GB in {chosen.ram}, {chosen.rounds} rounds in turn")
    for what, value in figures.items():
        print(f"{what:36} {value / 1e6:.0f} MB" if value > 1e5 else f"{what:36} {value:.3f}")
    print("\n".join(verdicts(figures, chosen.shape, rounds)))
    if chosen.json:
        chosen.json.write_text(json.dumps({"figures": figures, "rounds": rounds}, indent=1))


if __name__ == "__main__":
    main()
