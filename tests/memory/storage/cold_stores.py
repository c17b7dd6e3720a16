"""Stores with cold memories, and what to compare of them."""

from __future__ import annotations

import numpy as np

from arrowmind.memory.keeping.lifecycle import Change
from arrowmind.memory.storage.lifecycle_tables import COLD

COUNT = 300


def texts_of(count=COUNT):
    long = " ".join(f"page{n}" for n in range(700))  # three windows
    return [f"memory {i} tells of topic{i % 23} \u732b" + (long if i % 97 == 5 else "") for i in range(count)]


def cool(store, ids, key="cool", tier=COLD):
    store.lifecycle.apply(Change(key, tiers=dict.fromkeys(ids, tier)))
    return store.settle()


def files(store, pattern):
    return sorted((store._paths.segments).glob(pattern))


def states(store, ids):
    return [
        None
        if (r := store.get(i)) is None
        else r.to_dict() | {"tier": 0, "access_count": 0, "last_access": 0}
        for i in ids
    ]


def vectors(store):
    home = store._sessions.current.snapshot().home
    return {
        (int(i), int(w)): code.tobytes()
        for block in home.blocks
        for i, w, code in zip(block.rows.ids, block.rows.windows, block.rows.codes, strict=False)
    }


def vectors_of(store, name):
    """Codes and scales by memory and window in a space, as an export has them."""
    found = {}
    for block in store._sessions.current.snapshot().space(name).blocks:
        rows = block.rows
        codes, scales = rows.stored_vectors(np.arange(len(rows)))
        for place in range(len(rows)):
            key = int(rows.ids[place]), int(rows.windows[place])
            found[key] = codes[place].tobytes(), float(scales[place])
    return found
