"""A shape that takes milliseconds, and lanes with figures that a test chooses."""

from __future__ import annotations

import dataclasses

import pytest

from arrowmind.bench.contenders.base import Job
from arrowmind.bench.language.race import LanguageLane, LanguageRace
from arrowmind.bench.language.shape import QWEN2_HALF_BILLION, write_shape

SMALL = {
    **QWEN2_HALF_BILLION,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 512,
}


def job_of(tmp_path, name):
    """A job over the small shape."""
    write_shape(tmp_path / "shape", SMALL)
    return Job(name, tmp_path / "shape", tmp_path / name, threads=1)


@pytest.fixture
def shape(tmp_path):
    write_shape(tmp_path / "shape", SMALL)
    return tmp_path / "shape"


def lane(name, milliseconds=10.0, **values):
    """A lane of 100 MB per token, with three rounds of this many milliseconds for a token."""
    made = LanguageLane(
        name,
        file_bytes=100_000_000,
        weight_bytes=100_000_000,
        open_seconds=0.1,
        decode=[milliseconds / 1e3] * 3,
        prefill=[1.0, 1.0],
        memory={"resident": 1, "peak": 150_000_000},
        fidelity={"cosine": 0.99995, "same_token": 1.0},
    )
    return dataclasses.replace(made, **values)


def race(*lanes):
    """A race on a machine that reads 11 GB/s."""
    return LanguageRace(list(lanes), bandwidth=[11e9, 11e9, 11e9], reference="llama.cpp-F16")
