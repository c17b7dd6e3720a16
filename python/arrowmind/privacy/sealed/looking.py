"""What the files of an encrypted store hold, for who looks through all of them."""

from __future__ import annotations

import contextlib
from typing import IO, TYPE_CHECKING

from arrowmind.privacy.sealed.files import anonymous
from arrowmind.privacy.sealed.pages import log_pages, pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arrowmind.privacy.sealed.cipher import StoreCipher

__all__ = ["opened_text"]

_DATABASE = ".encrypted"
_PARTS = {"": pages, "-wal": log_pages}


@contextlib.contextmanager
def opened_text(path: Path, cipher: StoreCipher) -> Iterator[IO[bytes] | None]:
    """What a file of a store holds, in memory; None for one that is not encrypted.

    Raises:
        IntegrityError: it is damaged.
        OSError: it cannot be read.
    """
    with contextlib.ExitStack() as stack:
        read = next((read for end, read in _PARTS.items() if path.name.endswith(f"{_DATABASE}{end}")), None)
        if read is not None:
            source = stack.enter_context(path.open("rb"))
            key = bytes.fromhex(cipher.database_key)
            yield stack.enter_context(anonymous(path.name, read(source, key)))
        elif cipher.owns(path):
            yield stack.enter_context(cipher.files.opened(path))
        else:
            yield None
