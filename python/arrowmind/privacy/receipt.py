"""Receipts of forgetting: what was forgotten, that no byte of it was left, and what the log said then."""

from __future__ import annotations

import datetime
import hmac
import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.columnar.publication import publish_bytes
from arrowmind.errors import MemoryStoreError, StorageError
from arrowmind.privacy.access.check import verify_log
from arrowmind.privacy.access.entry import Head
from arrowmind.privacy.needles import pieces_of, text_forms
from arrowmind.privacy.scanning import Place, find_bytes_apart

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from arrowmind.privacy.sealed.cipher import StoreCipher
    from arrowmind.privacy.store_key import StoreKey

__all__ = ["MemoryBytes", "Receipt", "ReceiptCheck", "make_receipt", "read_receipt", "verify_receipt"]

_VERSION = 1
_PURPOSE = "receipt"
_MAX_FILE_BYTES = 256 << 20


@dataclass(frozen=True)
class MemoryBytes:
    """What files held, or hold, of a memory.

    Attributes:
        id: its id.
        text: as it was stored, that is after redaction.
        vectors: codes of each window in each form there is, as bytes.
    """

    id: int
    text: str
    vectors: Sequence[bytes] = ()

    def needles(self) -> list[bytes]:
        """What must not be found of it."""
        return [*text_forms(self.text), *self.vectors]


@dataclass(frozen=True)
class Receipt:
    """That memories were forgotten.

    Attributes:
        store: id of the store.
        time: when, ISO 8601 in UTC.
        ids: of the memories.
        salt: of the fingerprints, hex; whoever has the receipt can guess texts that are easily guessed.
        fingerprints: HMAC-SHA256 of each text under the salt, hex, in the order of `ids`.
        rewritten: files that were written anew or removed for it.
        files: files that were looked through afterwards.
        bytes: in them.
        short: ids of texts too short to be looked for.
        kept: ids of which another memory holds the same text, a part of it, or the same vector.
        log: end of the access log, the entry of the forgetting included.
        signature: HMAC-SHA256 of all of that with the store's key, hex.
        version: of this form.
    """

    store: str
    time: str
    ids: tuple[int, ...]
    salt: str
    fingerprints: tuple[str, ...]
    rewritten: tuple[str, ...] = ()
    files: int = 0
    bytes: int = 0
    short: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()
    log: Head = field(default_factory=Head)
    signature: str = ""
    version: int = _VERSION

    def to_dict(self) -> dict[str, Any]:
        """The receipt as JSON values."""
        return asdict(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the receipt as a JSON file, whole or not at all.

        Raises:
            StorageError: it cannot be written.
        """
        publish_bytes(path, json.dumps(self.to_dict(), indent=1).encode() + b"\n")

    def concerns(self, text: str) -> bool:
        """Whether a text is among those that were forgotten."""
        return _fingerprint(self.salt, text) in self.fingerprints

    def signed_by(self, key: StoreKey) -> bool:
        """Whether the store of this key made the receipt as it is."""
        return hmac.compare_digest(_signature(self, key).encode(), self.signature.encode())


@dataclass(frozen=True)
class ReceiptCheck:
    """What a check of a receipt found.

    Attributes:
        signed: whether the signature is that of the key; None without a key.
        logged: whether the access log still holds the entry, unchanged; None without a log.
        unknown: indexes of the texts that the receipt does not concern.
        places: where a text was found.
        short: indexes of the texts too short to be looked for.
    """

    signed: bool | None
    logged: bool | None
    unknown: tuple[int, ...]
    places: tuple[Place, ...]
    short: tuple[int, ...]

    @property
    def ok(self) -> bool:
        """Whether everything that could be checked is as the receipt says."""
        is_genuine = self.signed is not False and self.logged is not False
        return is_genuine and not self.unknown and not self.places


def make_receipt(
    folder: str | os.PathLike[str],
    forgotten: Sequence[MemoryBytes],
    *,
    store: str,
    key: StoreKey,
    rewritten: Sequence[str] = (),
    head: Head | None = None,
    kept: Callable[[], Iterable[MemoryBytes]] | None = None,
    cipher: StoreCipher | None = None,
) -> Receipt:
    """Looks for the bytes of forgotten memories in all files of a store, and testifies that there are none.

    The files are read by another process, so that a store may be open in this one.

    Args:
        folder: of the store, after it was compacted.
        forgotten: what the files held.
        store: id of the store.
        key: signs the receipt.
        rewritten: names of files that were written anew or removed.
        head: end of the access log, the entry of the forgetting included.
        kept: gives the memories that are still there; called only if something is found, to explain it.
        cipher: of the store, if it is encrypted: what its files hold is looked through, too.

    Raises:
        MemoryStoreError: bytes of a memory are still there.
        StorageError: a file cannot be read.
    """
    needles = [(memory, needle) for memory in forgotten for needle in memory.needles()]
    report = find_bytes_apart(folder, [needle for _, needle in needles], cipher)
    found = {place.needle: place for place in reversed(report.places)}
    explained = _explained({index: needles[index][1] for index in found}, kept)
    left = sorted(found.keys() - explained)
    if left:
        memory, place = needles[left[0]][0], found[left[0]]
        raise MemoryStoreError(
            f"{folder}: bytes of memory {memory.id} are still in {place.file} at {place.offset}: "
            "end other processes that have the store open, then compact it again"
        )
    salt = secrets.token_hex(16)
    receipt = Receipt(
        store=store,
        time=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds"),
        ids=tuple(memory.id for memory in forgotten),
        salt=salt,
        fingerprints=tuple(_fingerprint(salt, memory.text) for memory in forgotten),
        rewritten=tuple(rewritten),
        files=report.files,
        bytes=report.bytes,
        short=tuple(memory.id for memory in forgotten if not pieces_of(text_forms(memory.text)[0])),
        kept=tuple(sorted({needles[index][0].id for index in explained})),
        log=head or Head(),
    )
    return replace(receipt, signature=_signature(receipt, key))


def verify_receipt(
    receipt: Receipt,
    folder: str | os.PathLike[str],
    texts: Sequence[str] = (),
    *,
    key: StoreKey | None = None,
    log_folder: str | os.PathLike[str] | None = None,
    cipher: StoreCipher | None = None,
) -> ReceiptCheck:
    """Checks a receipt: its signature, its place in the log, and that the texts are nowhere in the store.

    Args:
        receipt: what `make_receipt` gave.
        folder: of the store.
        texts: of the memories, by somebody who still has them; without any, no file is looked through.
        key: of the store.
        log_folder: of its access log.
        cipher: of the store, if it is encrypted.

    Raises:
        MemoryStoreError: there is no log in `log_folder`.
        StorageError: a file cannot be read.
    """
    places: list[Place] = []
    forms = [(index, form) for index, text in enumerate(texts) for form in text_forms(text)]
    if forms:
        report = find_bytes_apart(folder, [form for _, form in forms], cipher)
        places = [replace(place, needle=forms[place.needle][0]) for place in report.places]
    return ReceiptCheck(
        signed=None if key is None else receipt.signed_by(key),
        logged=None if log_folder is None else verify_log(log_folder, [receipt.log]).ok,
        unknown=tuple(index for index, text in enumerate(texts) if not receipt.concerns(text)),
        places=tuple(places),
        short=tuple(index for index, text in enumerate(texts) if not pieces_of(text_forms(text)[0])),
    )


def read_receipt(path: str | os.PathLike[str]) -> Receipt:
    """A receipt from its file; whether it is genuine, `verify_receipt` finds out.

    Raises:
        StorageError: the file cannot be read.
        MemoryStoreError: it holds no receipt.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be read ({error.strerror}); name the file of a receipt"
        ) from error
    try:
        return _from_dict(json.loads(data))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise MemoryStoreError(
            f"{path}: is no receipt of version {_VERSION}; give the file as it was"
        ) from error


def _from_dict(values: dict[str, Any]) -> Receipt:
    kinds: dict[str, type] = {"store": str, "time": str, "salt": str, "signature": str}
    kinds |= {"files": int, "bytes": int, "version": int}
    lists: dict[str, type] = {"ids": int, "fingerprints": str, "rewritten": str, "short": int, "kept": int}
    is_sound = set(values) == {*kinds, *lists, "log"} and values["version"] == _VERSION
    is_sound = is_sound and all(type(values[name]) is kind for name, kind in kinds.items())
    is_sound = is_sound and all(
        isinstance(values[name], list) and all(type(item) is kind for item in values[name])
        for name, kind in lists.items()
    )
    if not is_sound or len(values["ids"]) != len(values["fingerprints"]):
        raise ValueError("no receipt")
    bytes.fromhex(values["salt"])
    head = Head(int(values["log"]["number"]), str(values["log"]["hash"]))
    return Receipt(**{**values, **{name: tuple(values[name]) for name in lists}, "log": head})


def _explained(found: dict[int, bytes], kept: Callable[[], Iterable[MemoryBytes]] | None) -> set[int]:
    """Indexes of the needles of which a memory that is still there holds a piece."""
    explained: set[int] = set()
    if not found or kept is None:
        return explained
    pieces = {index: pieces_of(needle) for index, needle in found.items()}
    for memory in kept():
        for held in memory.needles():
            explained |= {i for i in found.keys() - explained if any(piece in held for piece in pieces[i])}
        if len(explained) == len(found):
            break
    return explained


def _fingerprint(salt: str, text: str) -> str:
    return hmac.digest(bytes.fromhex(salt), text.encode("utf-8", "surrogatepass"), "sha256").hex()


def _signature(receipt: Receipt, key: StoreKey) -> str:
    values = {name: value for name, value in receipt.to_dict().items() if name != "signature"}
    return key.digest(_PURPOSE, json.dumps(values, sort_keys=True, separators=(",", ":")).encode())
