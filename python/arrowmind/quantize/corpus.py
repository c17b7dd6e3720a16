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

__all__ = ["documentation", "pieces"]

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
# Words of a piece: short ones often, as queries and sentences are.
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")
_WORDS = (2, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64)


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


def pieces(texts: Sequence[str], count: int, seed: int) -> list[str]:
    """Sentences, and runs of 2 to 64 words, cut out of ``texts`` by turns.

    Args:
        texts: where to cut, each with the same chance.
        count: of the pieces; fewer only where there are no words at all.
        seed: equal seeds cut the same.
    """
    kept = [text for text in texts if text.split()]
    chance = random.Random(seed)
    found: list[str] = []
    while kept and len(found) < count:
        text = chance.choice(kept)
        found.append(_sentence(text, chance) if len(found) % 2 else _run(text, chance))
    return found


def _sentence(text: str, chance: random.Random) -> str:
    words = chance.choice([part for part in _SENTENCE_END.split(text) if part.split()]).split()
    return " ".join(words[: _WORDS[-1]])


def _run(text: str, chance: random.Random) -> str:
    words, wanted = text.split(), chance.choice(_WORDS)
    begin = chance.randrange(max(1, len(words) - wanted + 1))
    return " ".join(words[begin : begin + wanted])
