"""What a command imports: start-up is most of the time that a short command takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

HEAVY = (
    "cryptography",
    "pydantic",
    "pyarrow",
    "torch",
    "structlog",
    "rich",
    "prometheus_client",
    "huggingface_hub",
    "flatbuffers",
)
PROGRAM = """
import json, sys
there = set(sys.modules)  # of the interpreter, and of what measures coverage
from arrowmind.cli import main
from arrowmind.cli.main import run  # what the program itself needs, before any command
before = sorted(set(sys.modules) - there)
code = main({words!r})
print(json.dumps([code, before, sorted(set(sys.modules) - there)]))
"""


def imported(shell, *words):
    """Exit code of a command, and the modules before and after it."""
    return json.loads(shell(code=PROGRAM.format(words=list(words))).stdout.splitlines()[-1])


def heavy(modules, *more):
    return sorted({*HEAVY, *more} & set(modules))


def test_the_program_itself_imports_no_numbers_and_no_models(shell):
    _, before, _ = imported(shell, "version")
    assert heavy(before, "numpy", "tokenizers", "tantivy", "sqlite3", "yaml", "arrowmind._native") == []


@pytest.mark.parametrize(
    "words",
    [
        ["stats", "--store", "none"],
        # Options of every type, since a library may wait with its own imports for a value to convert.
        [
            "recall",
            "a key",
            "--words-only",
            "--store",
            "none",
            "--top-k",
            "3",
            "--since",
            "2026-01-01",
            "--full",
        ],
    ],
)
def test_a_command_imports_what_it_works_with(shell, words):
    code, _, after = imported(shell, *words)
    assert code == 1  # there is no such store: found out behind the options
    assert not Path("none").exists()
    assert heavy(after) == []


def test_a_mistaken_option_is_told_without_pydantic(shell):
    code, _, after = imported(shell, "recall", "a key", "--top-k", "many")
    assert code == 2
    assert "pydantic" not in after
