"""Where long work keeps what it can go on from: a hidden folder beside the result, gone when it is there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from arrowmind.errors import QuantizationError, StorageError
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["kept_state", "state_folder"]

_log = get_logger("arrowmind.quantize")


def state_folder(output: str | os.PathLike[str]) -> Path:
    """The folder that quantising to ``output`` keeps its state in."""
    target = Path(os.path.abspath(output))  # noqa: PTH100  (keeps symbolic links)
    return target.with_name(f".{target.name}.quantising")


@contextlib.contextmanager
def kept_state(output: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives the state folder, made if need be; removes it unless the work is interrupted or fails.

    Args:
        output: the folder that is being made.

    Raises:
        QuantizationError: another process is at the same work.
        StorageError: the folder cannot be made.
    """
    folder = state_folder(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be made ({error.strerror}); is {folder.parent} a folder you may write to?"
        ) from error
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise QuantizationError(
                f"{folder}: another process is quantising to {output}; wait for it, or choose another output"
            ) from error
        try:
            yield folder
        except KeyboardInterrupt:
            if any(folder.iterdir()):
                _log.warning("interrupted; the same call goes on from what is kept", path=str(folder))
            raise
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        with contextlib.suppress(OSError):  # nothing in it yet: nothing worth keeping
            folder.rmdir()
        os.close(descriptor)
