"""Fuzzes the readers that are written in Python: ``python -m tests.fuzz.fuzz_readers --seconds 60``.

Each round damages one file of a good model folder, store or settings file and reads it as users do. Errors of
our own tree are right answers; any other exception, a crash, a hang or a huge allocation is a fault. What was
damaged is kept, and the seed of the round repeats it.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.memory.fake_encoder import FakeEncoder
from tests.reference import folder as reference

from arrowmind import ArrowEngine, ArrowQuantizer, MemoryStore, QuantizationConfig
from arrowmind.config import load_config
from arrowmind.errors import OptimizationError
from arrowmind.observe import configure_logging
from arrowmind.weights import convert_model, verify_model

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY_BYTES = 8 << 30
HANG_SECONDS = 20
SETTINGS = "model:\n  path: models/a\ndevice:\n  threads: 2\nmemory:\n  top_k: 5\nlog:\n  level: error\n"


def model_of(format_name: str) -> Callable[[Path], None]:
    """Makes a quantised model folder; Parquet V1 holds floats."""

    def make(path: Path) -> None:
        original = reference.write(path.parent / "original", reference.weights())
        convert_model(original, path.parent / "plain")
        quantised = path.parent / "quantised"
        config = QuantizationConfig(cosine_mean=-1, cosine_min=-1, overlap_at_10=0)
        ArrowQuantizer(config).quantize(path.parent / "plain", quantised)
        source = path.parent / "plain" if format_name == "parquet-v1" else quantised
        convert_model(source, path, formats=[format_name])

    return make


def make_original(path: Path) -> None:
    reference.write(path, reference.weights())


def make_gguf(path: Path) -> None:
    original = reference.write(path.parent / "original", reference.weights())
    convert_model(original, path.parent / "converted", formats=["gguf-q8_0"])
    path.mkdir()
    shutil.move(path.parent / "converted" / "model.gguf", path / "model.gguf")


def make_store(path: Path) -> None:
    with MemoryStore(path, FakeEncoder()) as store:
        store.remember_many([f"memory {i} of the blue key" for i in range(50)], metadata={"a": 1})
        store.flush()
        store.remember("waiting")


def make_settings(path: Path) -> None:
    path.mkdir()
    (path / "arrowmind.yaml").write_text(SETTINGS)


def read_model(path: Path) -> None:
    with suppress(OptimizationError):  # reading what verification refuses must be as safe
        verify_model(path)
    ArrowEngine(path, threads=1).encode(["the cat sat"])


def read_original(path: Path) -> None:
    convert_model(path, path.parent / "converted", force=True)


def read_store(path: Path) -> None:
    with MemoryStore(path, FakeEncoder()) as store:
        store.verify()
        store.recall("blue key", top_k=3)
        store.remember("one more")


def read_settings(path: Path) -> None:
    load_config(path / "arrowmind.yaml", env={})


TARGETS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    "weights.arrow": (model_of("native"), read_model),
    "parquet-v1": (model_of("parquet-v1"), read_model),
    "parquet-v2": (model_of("parquet-v2"), read_model),
    "huggingface": (make_original, read_original),
    "gguf": (make_gguf, read_original),
    "store": (make_store, read_store),
    "settings": (make_settings, read_settings),
}


def damage(data: bytes, chance: random.Random) -> bytes:
    """One to four of the ways in which files go wrong, most of them near the start or the end."""
    result = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        size = len(result)
        near = min(size, 4096)
        at = chance.choice(
            [chance.randrange(size + 1), chance.randrange(near + 1), size - chance.randrange(near + 1)]
        )
        kind = chance.randrange(6)
        if kind == 0 and at < size:
            result[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            result[at : at + 8] = chance.choice([b"\xff" * 8, b"\0" * 8, (2**63 - 1).to_bytes(8, "little")])
        elif kind == 2:
            del result[at : at + chance.randint(1, 64)]
        elif kind == 3:
            result[at:at] = chance.randbytes(chance.randint(1, 64))
        elif kind == 4:
            start = chance.randrange(size + 1)
            result[at : at + 32] = result[start : start + 32]
        else:
            del result[at:]
    return bytes(result)


def one_round(good: Path, work: Path, read: Callable[[Path], None], seed: int) -> str | None:
    """What went wrong, or None."""
    chance = random.Random(seed)
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(good, work)
    target = chance.choice(sorted(path for path in work.rglob("*") if path.is_file()))
    target.write_bytes(damage(target.read_bytes(), chance))
    signal.alarm(HANG_SECONDS)
    try:
        read(work)
    except OptimizationError:
        pass
    except Exception as error:
        return f"{target.relative_to(work)}: {type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
    return None


def fuzz(name: str, seconds: float, seed: int, keep: Path) -> bool:
    """Fuzzes one target; returns whether it held."""
    make, read = TARGETS[name]
    with tempfile.TemporaryDirectory(prefix="arrowmind-fuzz-") as folder:
        good, work = Path(folder) / "good", Path(folder) / "work"
        make(good)
        end, rounds = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            (keep / "round").write_text(f"{name} {seed + rounds}\n")  # tells of a round that ends the process
            fault = one_round(good, work, read, seed + rounds)
            if fault is not None:
                shutil.copytree(work, keep / f"{name}-{seed + rounds}", dirs_exist_ok=True)
                print(f"{name}: seed {seed + rounds}: {fault}", file=sys.stderr)
                return False
            rounds += 1
    print(f"{name}: {rounds} damaged files, no fault")
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--targets", nargs="*", choices=sorted(TARGETS), default=sorted(TARGETS))
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz-readers"), help="where faults are kept")
    arguments = parser.parse_args()
    faulthandler.enable()
    faulthandler.register(signal.SIGALRM, chain=True)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    configure_logging("error")
    arguments.keep.mkdir(parents=True, exist_ok=True)
    held = [fuzz(name, arguments.seconds, arguments.seed, arguments.keep) for name in arguments.targets]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
