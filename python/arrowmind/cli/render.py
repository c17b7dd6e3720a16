"""Text for terminals and pipes. Stored texts may hold anything, also what would steer a terminal."""

from __future__ import annotations

import sys
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["bytes_text", "counted", "print_table", "printable", "write", "write_part"]

_KEPT = "\n\t"
_CONTROL = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# Format characters that scripts and emoji need: joiners and the soft hyphen.
_HARMLESS = "\u200b\u200c\u200d\u00ad"


def printable(text: str) -> str:
    """The text with control characters, surrogates and direction overrides written as escapes."""
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character in _KEPT or character in _HARMLESS or unicodedata.category(character) not in _CONTROL:
        return character
    return (
        character.encode("ascii", "backslashreplace").decode()
        if ord(character) > 127
        else repr(character)[1:-1]
    )


def write(text: str = "") -> None:
    """Prints to stdout, safe for a terminal and for any encoding of it."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout.write(f"{printable(text)}\n".encode(encoding, "backslashreplace").decode(encoding))


def write_part(text: str) -> None:
    """Prints a piece of a text that goes on, as safely, and shows it at once."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout.write(printable(text).encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def print_table(rows: Iterable[Sequence[str]], headers: Sequence[str] = ()) -> None:
    """Columns, as wide as they need to be; on a terminal the last one wraps."""
    cells = [[printable(cell) for cell in row] for row in ([headers] if headers else [])]
    cells += [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_wrapped(cells, has_headers=bool(headers))
        return
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_wrapped(rows: list[list[str]], *, has_headers: bool) -> None:
    from rich.console import Console  # noqa: PLC0415  costs 50 ms; most commands print lines
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, show_header=has_headers, pad_edge=False, padding=(0, 2, 0, 0))
    count = max(map(len, rows), default=0)
    for index in range(count):
        header = rows[0][index] if has_headers else ""
        table.add_column(Text(header), overflow="fold", no_wrap=index < count - 1)
    for row in rows[has_headers:]:
        table.add_row(*map(Text, row))
    Console(file=sys.stdout, highlight=False).print(table)


def counted(count: int, one: str, several: str) -> str:
    """A number with its noun: `1 text`, `3 texts`."""
    return f"{count} {one if count == 1 else several}"


def bytes_text(count: float) -> str:
    """A number of bytes for people, in powers of 1000: `22.7 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
