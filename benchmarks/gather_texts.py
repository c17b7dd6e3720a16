"""Gathers sentences to calibrate on from what lies on this machine, one a line.

    python benchmarks/gather_texts.py texts.txt
    python benchmarks/gather_texts.py texts.txt --also talk.json articles.txt --root unpacked/
    python benchmarks/gather_texts.py texts.txt --often news.txt:6 stories.json:2

What is looked for below each root (`/`, and folders where packages were unpacked): a WordNet dictionary,
quotations of fortune, dictionaries of dictd, HTML, Markdown and text of documentation, and descriptions of
packages; docstrings of Python's library, too. What is not there is left out, and the counts that are printed
say so. On Debian, `apt-get install wordnet-base fortunes anarchism dict-foldoc` brings most of it. `--also`
reads files of your own: text in paragraphs, or JSON, of which all that stands under "text" is taken. From all
of them runs of words are cut that begin like speech ("Do you know how to"): what people ask and answer has
many such words, and dictionaries have few. `--often` takes all sentences of a file, each so many times: of
kinds that there is little of. Equal files and seeds give equal lines.
"""

from __future__ import annotations

import argparse
import gzip
import html
import json
import random
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.quantize.corpus import documentation
from arrowmind.quantize.dictionary import definitions, examples

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Sentences of each kind at most: of everyday words more than of any trade's.
SHARES = {
    "examples": 42_000,
    "definitions": 9_000,
    "documents": 9_000,
    "quotations": 9_000,
    "also": 14_000,
    "packages": 2_000,
    "docstrings": 2_000,
    "dictd": 2_000,
}
SPOKEN = 24_000  # runs of words at most
LARGEST = 64 << 20  # bytes of a file, unpacked
FEWEST, MOST, LETTERS = 4, 50, 0.85  # words of a sentence, and what part of it is letters and spaces

# What questions, answers and remarks begin with.
OPENINGS = frozenset(
    """i you he she it we they this that these those there here my your his our their some any
    what who how why when where which if as because but so yes no not is are was do does did don't
    can could should would will may might must have has had to""".split()  # noqa: SIM905
)
SHORTEST, LONGEST = 3, 11  # words of such a run

_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")
_PARAGRAPH = re.compile(r"\n\s*\n")
_UNSEEN = re.compile(r"(?is)<(script|style|head)\b.*?</\1>")
_BLOCK = re.compile(r"(?i)</?(p|div|h\d|li|br|tr|pre|dd|dt)\b[^>]*>")
_DESCRIPTION = re.compile(r"^Description(?:-en)?: (.*(?:\n .*)*)", re.MULTILINE)


def sentences(text: str, fewest: int = FEWEST) -> list[str]:
    """Of prose, those that are mostly words; spaces are made single ones."""
    parts = (part for paragraph in _PARAGRAPH.split(text) for part in _END.split(" ".join(paragraph.split())))
    return [part for part in parts if fewest <= len(part.split()) <= MOST and _is_prose(part)]


def _is_prose(text: str) -> bool:
    return sum(letter.isalpha() or letter == " " for letter in text) > LETTERS * len(text)


def without_tags(page: str) -> str:
    """The text of a page of HTML."""
    return html.unescape(re.sub(r"<[^>]+>", "", _BLOCK.sub("\n\n", _UNSEEN.sub("", page))))


def read(path: Path) -> str:
    """The text of a file, unpacked where it is packed; nothing where it cannot be read or is too large."""
    try:
        with gzip.open(path) if path.suffix in (".gz", ".dz") else path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, EOFError, ValueError) as error:
        print(f"{path}: {error}; left out", file=sys.stderr)
        return ""
    return data.decode("utf-8", errors="replace") if len(data) <= LARGEST else ""


def files(root: Path, *patterns: str) -> Iterator[Path]:
    """Files below a root, in order; links are left out, as what they lead to is found by itself."""
    for path in sorted({path for pattern in patterns for path in root.glob(pattern)}):
        if path.is_file() and not path.is_symlink():
            yield path


def documents(root: Path) -> Iterator[str]:
    for path in files(root, *(f"usr/share/doc/**/*.{kind}" for kind in ("html", "md", "rst", "txt"))):
        text = read(path)
        yield from sentences(without_tags(text) if path.suffix == ".html" else text)


def quotations(root: Path) -> Iterator[str]:
    for path in files(root, "usr/share/games/fortunes/*"):
        if not path.suffix:
            for quotation in read(path).split("\n%\n"):
                yield from sentences(re.sub(r"\n\s*-- .*", "", quotation, flags=re.DOTALL), 3)


def packages(root: Path) -> Iterator[str]:
    for path in files(root, "var/lib/apt/lists/*Packages", "var/lib/apt/lists/*-en", "var/lib/dpkg/status"):
        for described in _DESCRIPTION.findall(read(path)):
            yield from sentences(described.replace("\n .\n", "\n\n"))


def dictd(root: Path) -> Iterator[str]:
    for path in files(root, "usr/share/dictd/*.dict.dz"):
        yield from sentences(re.sub(r"[{}<>]", "", read(path)))


def given(path: Path) -> Iterator[str]:
    """Of a file of the user's."""
    if path.suffix != ".json":
        return iter(sentences(read(path)))
    return (
        sentence for text in texts_of(json.loads(read(path) or "null")) for sentence in sentences(text, 3)
    )


def texts_of(value: Any) -> Iterator[str]:
    """Whatever stands under "text" in JSON, at any depth."""
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        yield value["text"]
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts_of(inner)


def gather(roots: Iterable[Path], also: Iterable[Path] = ()) -> dict[str, set[str]]:
    """All sentences by kind."""
    found: dict[str, set[str]] = {kind: set() for kind in SHARES}
    found["docstrings"].update(sentence for text in documentation() for sentence in sentences(text))
    found["also"].update(sentence for path in also for sentence in given(path))
    for root in roots:
        found["examples"].update(examples(root / "usr/share/wordnet"))
        found["definitions"].update(definitions(root / "usr/share/wordnet"))
        for kind in (documents, quotations, packages, dictd):
            found[kind.__name__].update(kind(root))
    return found


def spoken(lines: Iterable[str], most: int, chance: random.Random) -> list[str]:
    """Runs of words that begin like speech, at most one of a line, written as sentences or without an end."""
    runs: dict[str, None] = {}
    for line in lines:
        words = line.split()
        begin = [
            at for at, word in enumerate(words[: 1 - SHORTEST]) if word.strip('",;:(').lower() in OPENINGS
        ]
        if not begin or len(runs) >= most:
            continue
        first = chance.choice(begin)
        run = " ".join(words[first : first + chance.randint(SHORTEST, LONGEST)]).strip('",;:-()')
        ending = "" if run.endswith((".", "?", "!")) else chance.choice((".", ".", "?", ""))
        runs[run[:1].upper() + run[1:] + ending] = None
    return list(runs)


def repeated(argument: str) -> tuple[Path, int]:
    """`FILE:TIMES`, as given to `--often`."""
    path, _, times = argument.rpartition(":")
    if not path or not times.isdecimal() or not Path(path).exists():
        raise argparse.ArgumentTypeError(f"{argument}: give a file that is there and how often, news.txt:6")
    return Path(path), int(times)


def chosen(found: dict[str, set[str]], seed: int, often: Iterable[tuple[Path, int]] = ()) -> list[str]:
    """As many of each kind as its share allows, and those of some files so many times, mixed."""
    chance = random.Random(seed)
    kept = [
        line
        for kind, lines in found.items()
        for line in chance.sample(sorted(lines), len(lines))[: SHARES[kind]]
    ]
    chance.shuffle(kept)
    kept += spoken(kept, SPOKEN, chance)
    for path, times in often:
        kept += times * list(dict.fromkeys(given(path)))
    chance.shuffle(kept)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--root", type=Path, nargs="+", default=[], help="looked through beside /")
    parser.add_argument("--also", type=Path, nargs="+", default=[], help="text or JSON of your own")
    parser.add_argument("--often", type=repeated, nargs="+", default=[], metavar="FILE:TIMES")
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    if missing := [str(path) for path in (*asked.root, *asked.also) if not path.exists()]:
        parser.error(f"{missing[0]} is not there")
    found = gather([Path("/"), *asked.root], asked.also)
    for kind, lines in found.items():
        print(f"{kind:12} {len(lines):7} found, {min(len(lines), SHARES[kind]):6} taken")
    kept = chosen(found, asked.seed, asked.often)
    asked.output.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
    print(f"{asked.output}: {len(kept)} sentences")


if __name__ == "__main__":
    main()
