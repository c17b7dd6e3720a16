"""What workers said they did, and whether a store agrees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.memory.fake_encoder import PNG, FakeEncoder

from arrowmind.memory import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

    from worker import Worker


class Ledger:
    """Memories that were acknowledged, that may be gone, and that must be gone."""

    def __init__(self) -> None:
        self.stored: dict[int, str] = {}
        self.in_doubt: dict[int, str] = {}
        self.forgotten: set[int] = set()

    def read(self, worker: Worker) -> None:
        for word, id_, text in worker.messages:
            if word == "stored":
                self.stored[id_] = text
            elif word == "forgetting":
                self.in_doubt[id_] = self.stored.pop(id_)
            elif word == "forgot":
                del self.in_doubt[id_]
                self.forgotten.add(id_)

    def check(self, folder: Path) -> None:
        """Everything acknowledged is there, nothing forgotten came back, every file is sound."""
        with MemoryStore(folder, FakeEncoder(16)) as store:
            for id_, text in self.stored.items():
                record = store.get(id_)
                assert record is not None, f"memory {id_} ({text}) was acknowledged and is lost"
                assert record.text == text
                for attachment in record.attachments:
                    assert store.attachment(attachment).startswith(PNG)
            assert [id_ for id_ in self.forgotten if store.get(id_)] == []
            for id_, text in list(self.stored.items())[:: max(len(self.stored) // 5, 1)]:
                assert id_ in [hit.id for hit in store.recall(text, 50)]
            assert store.verify().problems == []
            assert store.stats().records >= len(self.stored)
