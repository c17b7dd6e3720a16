"""Sentences of a WordNet dictionary that is installed: everyday English of every subject.

Debian's package `wordnet-base` puts one at FOLDER; NLTK's corpus and Princeton's archive hold the same files.
Format wndb(5WN): after the last bar of a line stands a gloss, definitions and then examples in double quotes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["FOLDER", "definitions", "dictionary", "examples"]

FOLDER = Path("/usr/share/wordnet")
_FILES = ("data.adj", "data.adv", "data.noun", "data.verb")
_LARGEST = 64 << 20
_QUOTED = re.compile(r'"([^"]+)"')
_FEWEST_WORDS = 3

_log = get_logger("arrowmind.quantize")


def dictionary(folder: Path = FOLDER) -> list[str]:
    """Examples, and a third of the definitions, sorted; none where no dictionary lies in `folder`.

    Definitions are many and seldom sentences: all of them would leave no room for other texts.
    """
    found = examples(folder) + definitions(folder)[::3]
    if found:
        _log.info("calibration reads a dictionary", path=str(folder), texts=len(found))
    return found


def examples(folder: Path = FOLDER) -> list[str]:
    """How words are used: what stands in quotes, three words at least; sorted."""
    return _sentences(quoted for gloss in _glosses(folder) for quoted in _QUOTED.findall(gloss))


def definitions(folder: Path = FOLDER) -> list[str]:
    """What words mean: what stands outside of quotes, three words at least; sorted."""
    return _sentences(part for gloss in _glosses(folder) for part in _QUOTED.sub("", gloss).split(";"))


def _glosses(folder: Path) -> Iterator[str]:
    for name in _FILES:
        try:
            path = folder / name
            if path.stat().st_size > _LARGEST:
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for line in text.splitlines():
            _, bar, gloss = line.rpartition("| ")
            if bar and not line.startswith("  "):  # the licence stands in indented lines
                yield gloss.strip()


def _sentences(texts: Iterable[str]) -> list[str]:
    return sorted({text.strip() for text in texts if len(text.split()) >= _FEWEST_WORDS})
