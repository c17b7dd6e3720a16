"""Links and maps are brought up to date with a consolidation."""

from __future__ import annotations

import numpy as np
from tests.joint.test_joint import latent_rows
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.consolidate.associating import associate
from arrowmind.memory import MemoryStore


def test_new_memories_are_linked(tmp_path):
    with MemoryStore(tmp_path / "s", FakeEncoder()) as store:
        ids = store.remember_many(["green tea with ann", "green tea with bob", "a far blue mountain"])
        assert associate(store).linked == 3
        assert ids[1] in [link.id for link in store.links(ids[0])]
        assert associate(store).linked == 0


def test_maps_are_fitted_where_there_are_several_kinds(tmp_path):
    with MemoryStore(tmp_path / "s") as store:
        rows = latent_rows(60, 1)
        store.remember_many([f"m{i}" for i in range(60)], dict(rows.vectors))
        assert associate(store).maps == 6
        assert np.linalg.norm(store.joint([1])) > 0.99
