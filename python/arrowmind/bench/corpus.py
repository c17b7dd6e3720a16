"""Real English text that is on every machine: the docstrings of Python's standard library."""

from __future__ import annotations

import ast
import functools
import hashlib
import re
import sysconfig
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_SKIPPED_FOLDERS = frozenset(
    {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "distutils"}
)
_SHORTEST_PASSAGE = 40
_WORDS_PER_COMMA = 4  # more commas than this: a list of names rather than a sentence
_TEXT_SHARE = 0.75  # letters and spaces among the characters of a sentence; tables and code have fewer

# Shortest and longest length in tokens, and the share of the sentences that have it.
LENGTH_SHARES = ((8, 31, 0.40), (32, 63, 0.30), (64, 95, 0.18), (96, 128, 0.12))

Measure = Callable[[list[str]], Sequence[int]]


@dataclass(frozen=True)
class Passage:
    """One docstring: the dotted name of what it describes, and its text."""

    name: str
    text: str


@functools.cache
def library_passages(root: Path | None = None) -> tuple[Passage, ...]:
    """Return every docstring of the standard library of at least 40 characters, once each, in a fixed order.

    The sources are parsed, not imported.

    Args:
        root: The folder with the sources; that of the running interpreter if None.
    """
    base = root or Path(sysconfig.get_paths()["stdlib"])
    seen: set[str] = set()
    passages = []
    for path in _source_files(base):
        for passage in _docstrings(path, _module_name(path, base)):
            if len(passage.text) >= _SHORTEST_PASSAGE and passage.text not in seen:
                seen.add(passage.text)
                passages.append(passage)
    return tuple(passages)


def benchmark_sentences(count: int, measure: Measure) -> list[str]:
    """Choose `count` paragraphs of 8 to 128 tokens from the docstrings, the same ones on every run.

    The choice goes by a hash of the text, so it does not depend on the order of files. Lengths follow
    `LENGTH_SHARES`: about 50 tokens on average.

    Args:
        count: How many; fewer come back only when the library has fewer.
        measure: Gives the number of tokens of each text, special tokens included.
    """
    candidates = library_paragraphs()
    lengths = measure(candidates)
    chosen: list[str] = []
    for shortest, longest, share in LENGTH_SHARES:
        fitting = [text for text, n in zip(candidates, lengths, strict=True) if shortest <= n <= longest]
        wanted = count - len(chosen) if longest == LENGTH_SHARES[-1][1] else round(count * share)
        chosen += fitting[:wanted]
    return sorted(chosen, key=_digest)


def sentence_of_tokens(tokens: int, measure: Measure) -> str:
    """Return a paragraph with exactly this number of tokens (the nearest one if there is none)."""
    paragraphs = library_paragraphs()
    lengths = measure(paragraphs)
    best = min(range(len(paragraphs)), key=lambda i: (abs(lengths[i] - tokens), i))
    return paragraphs[best]


def library_paragraphs() -> list[str]:
    """Return every paragraph of prose in the docstrings, once each, in the order of a hash."""
    return sorted({p for passage in library_passages() for p in _paragraphs(passage.text)}, key=_digest)


def _source_files(base: Path) -> Iterator[Path]:
    for path in sorted(base.rglob("*.py")):
        if not _SKIPPED_FOLDERS.intersection(path.relative_to(base).parts):
            yield path


def _module_name(path: Path, base: Path) -> str:
    parts = path.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _docstrings(path: Path, module: str) -> Iterator[Passage]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old escapes in the library's own sources
            tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError, ValueError):
        return  # a file of another interpreter, or one that is not meant to be read
    yield from _walk(tree, module)


def _walk(node: ast.AST, name: str) -> Iterator[Passage]:
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        text = ast.get_docstring(node)
        if text:
            yield Passage(name, text.strip())
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _walk(child, f"{name}.{child.name}")


def _paragraphs(text: str) -> Iterator[str]:
    for block in re.split(r"\n\s*\n", text):
        if ">>>" in block:
            continue
        line = " ".join(block.split())
        letters = sum(c.isalpha() or c == " " for c in line)
        prose = letters >= _TEXT_SHARE * len(line)
        if line and prose and line.count(",") * _WORDS_PER_COMMA <= len(line.split()):
            yield line


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
