"""A store with something of everything, and all that must not be read in its files."""

from __future__ import annotations

from tests.memory.fake_encoder import FakeEncoder, FakeImages, FakeSounds, picture, sound

from arrowmind.memory import MemoryStore, StoreSettings
from arrowmind.privacy.scanning import find_bytes
from arrowmind.weights.encryption.header import KEY, PASSPHRASE
from arrowmind.weights.encryption.secret import Secret

SECRET = Secret(KEY, bytes(range(32)))
OTHER = Secret(KEY, bytes(range(1, 33)))
PASSWORDS = Secret(PASSPHRASE, b"a horse, a battery")
CHANGE_STEPS = ["file_written", "before_commit", "committed", "renamed", "file_removed", "catalogue_removed"]
"""Moments of `memory.encryption` between which a process may die."""
SETTINGS = StoreSettings(flush_rows=32, busy_seconds=0.5)
TEXTS = [f"the harpsichordist of quarter {n} paints marzipan elephants" for n in range(40)]
WORDS = [
    b"harpsichordist",
    b"marzipan elep",
    b"plumbago_value",
    b"a_category_of",
    b"namespace_one",
    b"vestibule pend",
]


def opened(folder, key=SECRET, **more):
    engines = {"image_engine": FakeImages(), "audio_engine": FakeSounds(), **more}
    return MemoryStore(folder, FakeEncoder(), key=key, settings=SETTINGS, **engines)


def fill(store):
    """Memories in segments, one that waits, an image and a sound, maps between them."""
    more = {"metadata": {"note": "plumbago_value"}, "category": "a_category_of_its_own"}
    store.remember_many(TEXTS, **more, namespace="namespace_one")
    for n in range(12):
        store.remember(
            f"vestibule seen {n}", image=picture(f"vestibule picture {n}"), audio=sound(f"sound {n}")
        )
    store.flush()
    store.align()
    store.remember("vestibule pending in the catalogue")


def secrets_of(store):
    """Bytes of texts, words, vectors and blobs of what `fill` stored."""
    vectors = [held for _, held in sorted(vectors_of(store).items())][::9]
    return [*WORDS, *(text.encode() for text in TEXTS[:3]), picture("vestibule picture 3"), *vectors]


def vectors_of(store):
    """Codes by space, memory and window."""
    found = {}
    for space in store._sessions.current.snapshot().spaces:
        for block in space.blocks:
            rows = block.rows
            for row in range(len(rows)):
                if rows.scales[row] > 0 and block.is_live(row):
                    key = (space.row.name, int(rows.ids[row]), int(rows.windows[row]))
                    found[key] = rows.held_bytes(row)
    return found


def found(folder, needles, cipher=None):
    """What of some bytes stands in which file."""
    return [(place.file, needles[place.needle]) for place in find_bytes(folder, needles, cipher).places]


def contents(store):
    """All that a store says of its memories, vectors and blobs included."""
    asked = [(hit.id, hit.text) for hit in store.recall("vestibule harpsichordist seen", top_k=60)]
    records = [store.get(id_) for id_ in range(1, 54)]
    blobs = [store.attachment(part) for record in records for part in record.attachments]
    told = [(r.id, r.text, r.metadata, r.category, r.namespace, r.timestamp, r.origin) for r in records]
    return sorted(asked), told, blobs, vectors_of(store)
