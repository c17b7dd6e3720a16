"""Weights and activations handed over between processes, by a folder in shared memory.

One process publishes, any number read:

::

    folder/.writer               locked by the publisher as long as it lives
    folder/weights.arrow         the newest generation of weights
    folder/ring-<slot>.arrow     the newest activations, slot after slot

Each file is a weights.arrow (docs/formats/weights-arrow.md), its generation in the header, checked like one
from a stranger when it is opened. A new generation is a new file that takes the place of the old one by
rename: readers see the old or the new one, whole, and a mapping once taken stays as it was. A publisher that
is killed leaves the last generation, and a temporary file that the next one removes. Neither side waits for
the other.

Imports neither torch nor pyarrow: the engine's process needs neither.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.columnar import sweep_temporary
from arrowmind.errors import IntegrityError, InvalidArgumentError, StorageError, WeightError
from arrowmind.observe import get_logger
from arrowmind.torch.private import open_private
from arrowmind.weights import Tensor, TensorSpec, WeightFile, write_weights
from arrowmind.weights.formats import pack
from arrowmind.weights.schema import FILE_NAME

if TYPE_CHECKING:
    import mmap
    from collections.abc import Mapping
    from types import TracebackType

    import numpy.typing as npt

    from arrowmind.torch.model_tensors import ModelTensors

__all__ = ["Channel", "Publisher", "Snapshot", "sweep_channels"]

_log = get_logger("arrowmind.torch")

_LOCK = ".writer"
_PREFIX = "arrowmind-"
_RING = re.compile(r"ring-(\d{1,4})\.arrow")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAX_RING = 1024
_KEY = "shared"


def _root() -> Path:
    shared = Path("/dev/shm")
    return shared if shared.is_dir() else Path(os.environ.get("TMPDIR", "/tmp"))


def _folder(place: str | os.PathLike[str]) -> Path:
    """The folder of a channel: a path as it is, a plain name in shared memory."""
    text = os.fspath(place)
    if os.sep in text:
        return Path(text)
    if not _NAME.fullmatch(text):
        raise InvalidArgumentError(f"channel {text!r}: give a path, or a name of letters, digits, . _ and -")
    return _root() / f"{_PREFIX}{os.geteuid()}-{text}"


@dataclass(frozen=True)
class Snapshot:
    """One generation of tensors, mapped: it stays as it is, whatever is published later.

    Attributes:
        generation: counted from 1; weights and activations each have a count of their own.
        weights: the file, checked.
        mapping: of the file, privately (see :mod:`arrowmind.torch.private`).
    """

    generation: int
    weights: WeightFile
    mapping: mmap.mmap

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Every tensor as a read-only array of float32 or float16 over the mapping; packed ones are unpacked.

        Raises:
            IntegrityError: a tensor is not what was written.
        """
        found = {}
        for name in self.weights.names():
            tensor = self.weights.tensor(name)
            tensor.verify()
            floats = tensor.spec.quant_type in ("fp32", "fp16")
            found[name] = tensor.values() if floats else tensor.to_float32()
        return found

    def tensors(self) -> ModelTensors:
        """Every tensor as one of torch; see :class:`arrowmind.torch.ModelTensors`."""
        from arrowmind.torch.model_tensors import ModelTensors  # noqa: PLC0415  (needs torch)

        return ModelTensors(self.weights, self.mapping)


class Publisher:
    """The one process that publishes to a channel. Use as a context manager, or call :meth:`close`.

    Example::

        with Publisher("run-7") as publisher:
            publisher.weights(model.state_dict())
    """

    def __init__(self, place: str | os.PathLike[str], *, ring: int = 16) -> None:
        """Makes the channel, or takes over one whose publisher is gone, and removes what that left half done.

        Args:
            place: a folder, or a plain name for one in shared memory (/dev/shm).
            ring: how many sets of activations are kept.

        Raises:
            InvalidArgumentError: the name or the size of the ring cannot be used.
            StorageError: another process publishes there, or the folder cannot be had.
        """
        if not 1 <= ring <= _MAX_RING:
            raise InvalidArgumentError(f"a ring of {ring}; use 1 to {_MAX_RING}")
        self.folder = _folder(place)
        self._ring = ring
        self._lock = _take(self.folder)
        for left in sweep_temporary(self.folder):
            _log.info("removed what a killed publisher left", path=str(left))
        self._generations = dict.fromkeys(("weights", "activations"), 0)
        self._go_on()

    def weights(self, tensors: Mapping[str, Any], *, packed: bool = False) -> int:
        """Publishes weights in place of those before.

        Args:
            tensors: by name: arrays or torch tensors of float32, float16 or bfloat16, or
                :class:`arrowmind.weights.Tensor` (see :meth:`QuantizedLinear.tensor`). Copied once.
            packed: put matrices of linear layers in the order that kernels read, so that an engine computes
                on the mapping itself; torch and NumPy then have to unpack them.

        Returns:
            The generation.

        Raises:
            InvalidArgumentError: a tensor is of another type.
            WeightError: a float is NaN or infinite.
            StorageError: there is no room.
        """
        made = [_tensor(name, values, finite=True) for name, values in tensors.items()]
        if packed:
            made = [tensor.for_kernels() if len(tensor.spec.shape) == 2 else tensor for tensor in made]
        return self._publish("weights", made)

    def activations(self, tensors: Mapping[str, Any]) -> int:
        """Publishes a set of activations in the next slot of the ring.

        Args:
            tensors: as for :meth:`weights`; NaN and infinity are let through.

        Returns:
            The generation.
        """
        return self._publish("activations", [_tensor(name, v, finite=False) for name, v in tensors.items()])

    def close(self, *, remove: bool = False) -> None:
        """Lets another process publish. Closing twice does nothing.

        Args:
            remove: the folder, too; mappings of readers stay as they are.
        """
        if self._lock < 0:
            return
        if remove:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)
        self._lock = -1

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _publish(self, kind: str, tensors: list[Tensor]) -> int:
        if self._lock < 0:
            raise InvalidArgumentError(f"{self.folder}: the publisher is closed; make a new one")
        generation = self._generations[kind] + 1
        name = FILE_NAME if kind == "weights" else f"ring-{generation % self._ring}.arrow"
        write_weights(
            self.folder / name, tensors, {"model": {_KEY: {"kind": kind, "generation": generation}}}
        )
        self._generations[kind] = generation
        return generation

    def _go_on(self) -> None:
        """Counts on from what is there; what cannot be read is removed."""
        for path in sorted(self.folder.glob("*.arrow")):
            kind = "weights" if path.name == FILE_NAME else "activations"
            try:
                found = _open(path, kind).generation
            except WeightError as error:
                _log.warning(
                    "removed what is no generation of this channel", path=str(path), error=str(error)
                )
                path.unlink(missing_ok=True)
            else:
                self._generations[kind] = max(self._generations[kind], found)


class Channel:
    """The reader's side of a channel."""

    def __init__(self, place: str | os.PathLike[str]) -> None:
        """Opens a channel, which need not be there yet.

        Args:
            place: as the publisher gave it.

        Raises:
            InvalidArgumentError: the name cannot be used.
        """
        self.folder = _folder(place)
        self._seen: tuple[tuple[int, int, int], int] | None = None

    def weights(self, after: int = 0) -> Snapshot | None:
        """The newest weights, if their generation is above ``after``; one ``stat`` where nothing changed.

        Raises:
            WeightError: the file is none of a channel, or belongs to another user.
            IntegrityError: it is damaged.
        """
        path = self.folder / FILE_NAME
        mark = self._mark(path)
        if mark is None or (self._seen is not None and self._seen[0] == mark and self._seen[1] <= after):
            return None
        snapshot = self._snapshot(path, "weights")
        if snapshot is not None:
            self._seen = (mark, snapshot.generation)
        return snapshot if snapshot is not None and snapshot.generation > after else None

    def activations(self, after: int = 0) -> list[Snapshot]:
        """The sets of activations in the ring whose generation is above ``after``, oldest first.

        Raises:
            WeightError: a file is none of a channel, or belongs to another user.
            IntegrityError: it is damaged.
        """
        if not self._is_ours():
            return []
        paths = [path for path in self.folder.iterdir() if _RING.fullmatch(path.name)]
        found = [self._snapshot(path, "activations") for path in paths[:_MAX_RING]]
        newer = [snapshot for snapshot in found if snapshot is not None and snapshot.generation > after]
        return sorted(newer, key=lambda snapshot: snapshot.generation)

    @property
    def has_publisher(self) -> bool:
        """Whether a living process publishes here."""
        try:
            descriptor = os.open(self.folder / _LOCK, os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _is_ours(self) -> bool:
        if not self.folder.exists():
            return False
        _check_owner(self.folder, WeightError)
        return True

    def _mark(self, path: Path) -> tuple[int, int, int] | None:
        """Tells one file at `path` from the next."""
        try:
            status = path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _snapshot(self, path: Path, kind: str) -> Snapshot | None:
        """The generation at `path`; None if it has gone meanwhile."""
        if not self._is_ours():
            return None
        try:
            return _open(path, kind)
        except WeightError:
            if not path.exists():
                return None
            raise


def sweep_channels() -> list[Path]:
    """Removes the channels in shared memory whose publishers are gone.

    Returns:
        The folders removed. Mappings that readers hold stay as they are.
    """
    removed = []
    for folder in sorted(_root().glob(f"{_PREFIX}{os.geteuid()}-*")):
        try:
            lock = _take(folder)
        except StorageError:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        removed.append(folder)
    return removed


def _open(path: Path, kind: str) -> Snapshot:
    weights, mapping = open_private(path)
    header = weights.model.get(_KEY)
    found = header if isinstance(header, dict) else {}
    generation = found.get("generation")
    if found.get("kind") != kind or isinstance(generation, bool) or not isinstance(generation, int):
        raise WeightError(f"{path}: is a weight file, but no {kind} of a channel; its header is {header!r}")
    if not 1 <= generation < 1 << 62:
        raise IntegrityError(f"{path}: generation {generation} is out of range")
    return Snapshot(generation, weights, mapping)


def _take(folder: Path) -> int:
    """Makes the folder where it is missing, and takes its lock; returns the descriptor that holds it."""
    while True:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_owner(folder, StorageError)
            descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # removed by another process after it was made
        except OSError as error:
            raise StorageError(f"{folder}: cannot be a channel ({error.strerror})") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise StorageError(f"{folder}: another process publishes there; use another name") from None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), (folder / _LOCK).stat()):
                return descriptor
        os.close(descriptor)  # the folder was removed before it was locked


def _check_owner(folder: Path, kind: type[StorageError | WeightError]) -> None:
    """Shared memory is open to every user: a folder that another made under our name is refused."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise kind(f"{folder}: is no folder, or belongs to another user; use another name")


def _tensor(name: str, values: Any, *, finite: bool) -> Tensor:
    if isinstance(values, Tensor):
        return values if values.spec.name == name else _renamed(values, name)
    array = _array(name, values)
    if finite and not np.isfinite(array).all():
        raise WeightError(f"tensor {name!r}: holds NaN or infinity; was the training step skipped?")
    kind = {np.dtype(np.float32): "fp32", np.dtype(np.float16): "fp16"}[array.dtype]
    return Tensor(TensorSpec(name, kind, array.shape), pack(kind, "row", array))


def _renamed(tensor: Tensor, name: str) -> Tensor:
    return Tensor(replace(tensor.spec, name=name), *tensor.buffers())


def _array(name: str, values: Any) -> npt.NDArray[Any]:
    if hasattr(values, "detach"):  # a tensor of torch, which is not imported here
        values = values.detach().cpu()
        values = (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()
    if not isinstance(values, np.ndarray) or values.dtype not in (np.float32, np.float16):
        found = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
        raise InvalidArgumentError(
            f"tensor {name!r} is {found}; use float32, float16 or bfloat16, for instance with .float()"
        )
    return values
