"""Every reader against every shape of attack: one clear error, in little memory and time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.weights.attacks import all_attacks

ROOT = Path(__file__).resolve().parents[2]
# What a reader may take for a file that it refuses: the largest is a config.json at its bound of 64 MiB.
MEMORY_BYTES = 300 << 20
SECONDS = 10.0
NAMES = {
    "config": "config.json",
    "manifest": "manifest.json",
    "tokenizer": "tokenizer.json",
    "settings": "a.yaml",
}
READERS = (
    "arrow",
    "parquet",
    "safetensors",
    "gguf",
    "tokenizer",
    "config",
    "settings",
    "manifest",
    "encrypted",
)


@pytest.fixture(scope="module")
def attacks(tmp_path_factory):
    return all_attacks(tmp_path_factory.mktemp("forged"))


def answers(reader, attacks, folder):
    """What the reader says to each attack, in one process of its own."""
    lines = []
    for number, data in enumerate(attacks.values()):
        place = folder / str(number)
        place.mkdir()
        path = place / NAMES.get(reader, "file")
        path.write_bytes(data)
        lines.append(f"{reader} {path}\n")
    command = [sys.executable, "-m", "tests.weights.attacked"]
    done = subprocess.run(command, input="".join(lines), capture_output=True, text=True, cwd=ROOT)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(lines), f"the process ended at {[*attacks][len(found)]!r}: {done.stderr[-2000:]}"
    return dict(zip(attacks, found, strict=True))


@pytest.mark.parametrize("reader", READERS)
def test_every_attack_is_refused(reader, attacks, tmp_path):
    wrong = []
    for name, answer in answers(reader, attacks[reader], tmp_path).items():
        took = f"{answer['seconds']:6.3f} s {answer['grown'] >> 20:4} MiB"
        print(f"{reader:12} {name:45} {took} {answer['text'][-150:]}")
        if answer["kind"] != "OptimizationError":
            wrong.append(f"{name}: {answer['kind'] or 'was read'}: {answer['text'][:300]}")
        elif str(tmp_path) not in answer["text"]:
            wrong.append(f"{name}: no file is named: {answer['text'][:300]}")
        if answer["seconds"] > SECONDS or answer["grown"] > MEMORY_BYTES:
            wrong.append(f"{name}: took {answer['seconds']} s and {answer['grown']} bytes")
    assert not wrong, "\n".join(wrong)


def test_every_reader_is_attacked(attacks):
    assert set(attacks) == set(READERS)
