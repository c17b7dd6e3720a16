"""Texts for methods that want more than a few dozen: cut from those given, or from documentation at hand."""

from __future__ import annotations

import importlib
import inspect
import random
import re
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

__all__ = ["cut", "documentation", "pieces", "sentences"]

# Modules of the standard library whose docstrings are prose for the most part.
_MODULES = (
    "abc argparse ast asyncio bisect calendar codecs collections concurrent.futures configparser "
    "contextlib copy csv ctypes datetime decimal difflib dis email enum fractions functools gc "
    "hashlib heapq hmac html http.client inspect io itertools json logging mmap multiprocessing "
    "operator os pathlib pickle pprint queue random re sched select shutil signal socket sqlite3 ssl "
    "statistics string struct subprocess tarfile tempfile textwrap threading time tokenize typing "
    "unittest urllib.request xml.dom zipfile"
)
_SHORTEST = 60
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")
_MOST_WORDS, _FEWEST_WORDS = 64, 4


def documentation() -> list[str]:
    """Docstrings of the standard library, sorted; none where Python strips them."""
    found: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is deprecated, the text will do
        for name in _MODULES.split():
            try:
                module = importlib.import_module(name)
            except ImportError:
                continue
            found.update(text for text in _docstrings(module) if len(text) >= _SHORTEST)
    return sorted(found)


def _docstrings(module: ModuleType) -> Iterator[str]:
    for member in vars(module).values():
        yield inspect.getdoc(member) or ""
        if inspect.isclass(member):
            yield from (inspect.getdoc(method) or "" for method in vars(member).values())


def sentences(texts: Sequence[str]) -> list[list[str]]:
    """The words of each sentence."""
    return [words for text in texts for part in _SENTENCE_END.split(text) if (words := part.split())]


def pieces(texts: Sequence[str], count: int, seed: int) -> list[str]:
    """See :func:`cut`."""
    return cut(sentences(texts), count, seed)


def cut(kept: Sequence[Sequence[str]], count: int, seed: int) -> list[str]:
    """Sentences, and for every third piece a run of words inside one.

    Whole sentences alone leave out the short texts that queries are; runs across sentences are texts that
    nobody writes.

    Args:
        kept: sentences as words; each has the same chance.
        count: of the pieces; none where there are no sentences.
        seed: equal seeds cut the same.
    """
    chance = random.Random(seed)
    found: list[str] = []
    while kept and len(found) < count:
        words = chance.choice(kept)[:_MOST_WORDS]
        found.append(" ".join(_run(words, chance) if len(found) % 3 == 1 else words))
    return found


def _run(words: Sequence[str], chance: random.Random) -> Sequence[str]:
    if len(words) <= _FEWEST_WORDS:
        return words
    wanted = chance.randrange(_FEWEST_WORDS, len(words))
    begin = chance.randrange(len(words) - wanted + 1)
    return words[begin : begin + wanted]
