"""Texts that a command is given: as words, as lines of a file or of stdin, or as lines of JSON."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["count_lines", "read_json_lines", "read_lines", "read_texts", "read_whole"]

# Longest line that is read; a larger one is more likely a wrong file than a text.
_MAX_LINE_BYTES = 16 * 1024 * 1024


def read_texts(words: Sequence[str], file: Path | None) -> list[str]:
    """The texts given as words, or the lines of a file; those of stdin when there is neither.

    Raises:
        InvalidArgumentError: both or neither were given, or the file holds no usable text.
    """
    if words and file is not None:
        raise InvalidArgumentError(f"texts were given as words and in {file}; use one of the two")
    if words:
        return list(words)
    return [text for _, text in read_lines(file)]


def read_whole(words: Sequence[str], file: Path | None) -> str:
    """The text given as words, or a whole file; stdin when there is neither.

    Raises:
        InvalidArgumentError: both were given, or there is nothing to read, it is not UTF-8, or too long.
    """
    if words and file is not None:
        raise InvalidArgumentError(f"text was given as words and in {file}; use one of the two")
    if words:
        return " ".join(words)
    with _opened(file) as (stream, name):
        data = stream.read(_MAX_LINE_BYTES + 1)
    if len(data) > _MAX_LINE_BYTES:
        raise InvalidArgumentError(f"{name}: longer than {_MAX_LINE_BYTES} bytes; is this a text file?")
    return _decoded(data, name, 1)


def read_lines(file: Path | None) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is not blank; None or `-` reads stdin.

    Raises:
        InvalidArgumentError: there is nothing to read, a line is not UTF-8, or it is too long.
    """
    with _opened(file) as (stream, name):
        number = 0
        while line := stream.readline(_MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > _MAX_LINE_BYTES:
                raise InvalidArgumentError(
                    f"{name}, line {number}: longer than {_MAX_LINE_BYTES} bytes; is this a text file?"
                )
            text = _decoded(line, name, number)
            if text.strip():
                yield number, text


def read_json_lines(file: Path | None) -> Iterator[dict[str, Any]]:
    """The object of each line.

    Raises:
        InvalidArgumentError: as for `read_lines`, or a line is not an object with the key `text`.
    """
    name = _name(file)
    for number, line in read_lines(file):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidArgumentError(f"{name}, line {number}: not JSON: {error}") from error
        if not isinstance(value, dict) or not isinstance(value.get("text"), str):
            raise InvalidArgumentError(
                f'{name}, line {number}: must be an object with a text, like {{"text": "..."}}'
            )
        yield value


def count_lines(file: Path | None) -> int:
    """Lines of a file that are not blank, for progress; 0 where that is not known beforehand."""
    if _is_stdin(file) or file is None or not file.is_file():
        return 0
    with file.open("rb") as stream:
        return sum(1 for line in stream if line.strip())


def _is_stdin(file: Path | None) -> bool:
    return file is None or str(file) == "-"


def _name(file: Path | None) -> str:
    return "standard input" if _is_stdin(file) else str(file)


@contextmanager
def _opened(file: Path | None) -> Iterator[tuple[BinaryIO, str]]:
    if file is not None and not _is_stdin(file):
        with _open(file) as stream:
            yield stream, _name(file)
        return
    if file is None and sys.stdin.isatty():
        raise InvalidArgumentError("no text was given; give it as words, with --file, or through a pipe")
    yield sys.stdin.buffer, _name(file)


def _open(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise InvalidArgumentError(
            f"{file} cannot be read ({error.strerror}); name a file of texts"
        ) from error


def _decoded(line: bytes, name: str, number: int) -> str:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"{name}, line {number}: not UTF-8 at byte {error.start}; convert the file first"
        ) from error
    return text.rstrip("\r\n")
