"""Reading a store: recall, single memories, what they are linked with, and what belongs to them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory.intake.drafts import check_ids, check_top_k, clean_text
from arrowmind.memory.opened import OpenedStore
from arrowmind.memory.searching.aligning import joint_rows
from arrowmind.memory.searching.labels import check_field
from arrowmind.memory.searching.questions import Asked
from arrowmind.memory.searching.recaller import Limits
from arrowmind.memory.storage.blobs import read_blob
from arrowmind.observe import metrics

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from typing import TypeAlias

    import numpy as np
    import numpy.typing as npt

    from arrowmind.memory.records import Episode, Hit, Record
    from arrowmind.memory.searching.ranked import Evidence
    from arrowmind.memory.storage.attachments import Attachment
    from arrowmind.memory.storage.links import Link
    from arrowmind.memory.times import Moment

    MediaLike: TypeAlias = bytes | str | os.PathLike[str]

__all__ = ["Recall"]


class Recall(OpenedStore):
    """What is asked of a store; it changes nothing but counters of access."""

    def recall(
        self,
        text: str | None = None,
        top_k: int | None = None,
        *,
        image: MediaLike | None = None,
        audio: MediaLike | None = None,
        category: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        namespace: str | None = None,
        modality: str | None = None,
        embedding: Any = None,
    ) -> list[Hit]:
        """Finds memories by meaning and by words, by an image, by a sound, or by all of them.

        Args:
            text: any text. An empty one finds nothing; signs such as quotes or AND have no special meaning.
            image: bytes of an image, or its path: finds images like it and what was remembered with them.
            audio: the same of a sound.
            top_k: how many memories at most; None takes `memory.top_k`, by default 10.
            category: only those of this category.
            since: only those from then on.
            until: only those before then.
            namespace: only those of this namespace.
            modality: only those that hold a ``text``, an ``image``, or ``audio``.
            embedding: vector float32 [dimension] of the text, or vectors by the names of their spaces, if
                they are there already.

        Returns:
            The best first; fewer than ``top_k`` if the store has no more.

        Raises:
            InvalidArgumentError: an argument cannot be used.
            MemoryStoreError: the store is damaged.
        """
        self._check_open()
        if not isinstance(text, str | None):
            raise InvalidArgumentError(f"text is {type(text).__name__}; give a string")
        if all(part is None for part in (text, image, audio, embedding)):
            raise InvalidArgumentError("nothing to recall by; give a text, an image, a sound or an embedding")
        asked = Asked(clean_text(text or ""), image, audio, embedding)
        number = check_top_k(self._top_k if top_k is None else top_k)
        limits = Limits(category, since, until, self._confined(namespace), modality)
        self._watch.allow("recall", limits.namespace)
        with metrics.recall_seconds.time():
            hits = self._recaller.recall(asked, number, limits)
        found = [hit.id for hit in hits]
        self._watch.note("recall", found, namespace=limits.namespace, query=asked.text)
        return hits

    def recall_episodes(
        self,
        text: str,
        top_k: int | None = None,
        *,
        by: str | None = None,
        hits: int = 3,
        category: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        namespace: str | None = None,
        modality: str | None = None,
    ) -> list[Episode]:
        """Finds episodes, such as sessions of a conversation: memories told within an hour of one another, or
        those that share a field.

        An episode is ranked by its best memory and by what speaks for the whole of it, so one that says
        little outright but keeps to the subject comes before one that mentions it once in passing.

        Args:
            text: see `recall`.
            top_k: how many episodes at most; None takes `memory.top_k`, by default 10.
            by: the field whose value the memories of an episode share, whenever they were told: ``category``,
                ``namespace``, ``origin``, or ``metadata.NAME``; of one namespace each. Memories without a
                value are put together by time, as all are by default.
            hits: how many of the best memories of each to give back.
            category: only memories of this category, as for all that follows.
            since: only those from then on.
            until: only those before then.
            namespace: only those of this namespace. Without it, what was told in several at the same time
                is one episode.
            modality: only those that hold it.

        Returns:
            The best first.

        Raises:
            InvalidArgumentError: an argument cannot be used.
            MemoryStoreError: the store is damaged.
        """
        self._check_open()
        if not isinstance(text, str):
            raise InvalidArgumentError(f"text is {type(text).__name__}; give a string")
        number, shown = check_top_k(self._top_k if top_k is None else top_k), check_top_k(hits, "hits")
        field = check_field(by)
        limits = Limits(category, since, until, self._confined(namespace), modality)
        self._watch.allow("recall", limits.namespace)
        asked = Asked(clean_text(text))
        with metrics.recall_seconds.time():
            episodes = self._recaller.episodes(asked, number, shown, limits, field)
        found = [hit.id for episode in episodes for hit in episode.hits]
        self._watch.note("recall", found, namespace=limits.namespace, query=asked.text)
        return episodes

    def evidence(
        self,
        text: str,
        top_k: int | None = None,
        *,
        namespace: str | None = None,
        episodes: bool = False,
        by: str | None = None,
    ) -> Evidence | None:
        """What speaks for each memory that may answer a query, before it is weighed.

        `arrowmind.memory.ranking.learning.learn` turns such tables and known answers into weights for
        `RecallSettings`.

        Args:
            text: the query.
            top_k: how many hits the recall would give; it decides how far the search goes.
            namespace: only memories of this namespace.
            episodes: whether ``top_k`` counts episodes, as in `recall_episodes`.
            by: the field that the memories of an episode share, as there.

        Returns:
            None where nothing may answer.
        """
        self._check_open()
        number = check_top_k(self._top_k if top_k is None else top_k)
        limits = Limits(namespace=self._confined(namespace))
        self._watch.allow("recall", limits.namespace)
        asked = Asked(clean_text(text))
        examined = self._recaller.examine(asked, number, limits, episodes=episodes, by=check_field(by))
        return None if examined is None else examined.evidence()

    def newest(
        self,
        count: int,
        *,
        before: int | None = None,
        category: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        namespace: str | None = None,
        modality: str | None = None,
    ) -> list[Record]:
        """The memories that were remembered last, the newest first. They do not count as recalled.

        Args:
            count: how many at most.
            before: only ids below this one: the last of the page before.
            category: see `recall`, as for all that follows.
            since: only those from then on.
            until: only those before then.
            namespace: only those of this namespace.
            modality: only those that hold it.

        Raises:
            InvalidArgumentError: an argument cannot be used.
            MemoryStoreError: the store is damaged.
        """
        self._check_open()
        limits = Limits(category, since, until, self._confined(namespace), modality)
        self._watch.allow("recall", limits.namespace)
        records = self._recaller.newest(check_top_k(count), before, limits)
        self._watch.note("recall", [record.id for record in records], namespace=limits.namespace)
        return records

    def get(self, id: int) -> Record | None:  # noqa: A002  the documented name
        """The memory with this id; None if there is none, or it was forgotten.

        Raises:
            InvalidArgumentError: it is no id.
            MemoryStoreError: the memory is damaged.
        """
        self._check_open()
        for number in self._admitted("get", check_ids([id])):
            return self._recaller.get(number, Limits(namespace=self._namespace))
        return None

    def links(self, id: int) -> list[Link]:  # noqa: A002  the documented name
        """What a memory is linked with, the strongest first; empty for one that is not there.

        Raises:
            InvalidArgumentError: it is no id.
        """
        self._check_open()
        linked: list[Link] = []
        for number in self._admitted("get", check_ids([id])):
            linked = self._recaller.links(number, Limits(namespace=self._confined(None)))
        seen = set(self._admitted("get", [link.id for link in linked], logged=False))
        return [link for link in linked if link.id in seen]

    def joint(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Vectors of memories in one space for all kinds of content, float32 [len(ids), 768] of length 1.

        They are made of the vectors in all spaces by the alignment that is in use; one of zeros stands for a
        memory that is not there.
        """
        self._check_open()
        session = self._sessions.current
        seen = self._admitted("get", ids)
        snapshot = session.snapshot()
        found = snapshot.admitted(seen, replace(self._whole(snapshot), archived=True))
        vectors = session.joint(snapshot).embed(joint_rows(snapshot, ids))
        vectors[[id_ not in found for id_ in ids]] = 0
        return vectors

    def attachment(self, attachment: Attachment) -> bytes:
        """The bytes of an image or a sound of a record.

        Raises:
            MemoryStoreError: they are gone, as after a compaction once forgotten, or damaged.
        """
        self._check_open()
        self._watch.allow_somewhere("get")
        return read_blob(self._paths, attachment)
