"""The memory store: remember texts, images and sounds, recall them, forget them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from arrowmind.memory.intake.drafts import check_ids, make_drafts
from arrowmind.memory.keeping.forgetting import forget
from arrowmind.memory.recalling import Recall
from arrowmind.memory.searching.recaller import Limits
from arrowmind.memory.storage import tables
from arrowmind.memory.storage.lifecycle_tables import derived_from
from arrowmind.memory.storage.traits import ORIGINS
from arrowmind.memory.upkeep import Upkeep
from arrowmind.observe import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta
    from typing import TypeAlias, TypeVar

    from arrowmind.memory.recalling import MediaLike
    from arrowmind.memory.times import Moment
    from arrowmind.observe import Progress
    from arrowmind.privacy import Receipt

    T = TypeVar("T")
    OneOrEach: TypeAlias = T | Sequence[T]

__all__ = ["MemoryStore"]


class MemoryStore(Recall, Upkeep):
    """A folder of memories.

    Several processes and threads may use one store at once. What `remember` returned an id for survives a
    killed process and a power cut. Forked processes may go on using the object.

    Example:
        >>> with MemoryStore("memory", engine) as store:  # doctest: +SKIP
        ...     store.remember("The key lies under the blue pot.")
        ...     print(store.recall("where is the key?")[0].text)
    """

    def remember(
        self,
        text: str | None = None,
        *,
        embeddings: Any = None,
        image: MediaLike | None = None,
        audio: MediaLike | None = None,
        category: str | None = None,
        metadata: dict[str, Any] | None = None,
        timestamp: Moment | None = None,
        expires: Moment | timedelta | None = None,
        namespace: str | None = None,
        origin: str = ORIGINS[0],
        trust: float | None = None,
    ) -> int:
        """Stores one memory, verbatim. When it returns, all of it is on disk.

        Args:
            text: what to remember; lone surrogates become U+FFFD. None beside an image or a sound.
            embeddings: vectors that are there already: float32 [dimension] of the text, or such by the names
                of their spaces.
            image: see `remember_many`, as for all that follows.
            audio: bytes of a sound file, or its path.
            category: a label to filter by.
            metadata: JSON values that come back with it.
            timestamp: when it happened; now if not given.
            expires: when it is forgotten by itself: a moment, or a time from now.
            namespace: where it belongs.
            origin: who says it.
            trust: how far to believe it.

        Returns:
            Its id.

        Raises:
            InvalidArgumentError: an argument cannot be used.
            MemoryStoreError: it could not be stored.
        """
        if isinstance(embeddings, Mapping):
            given: Any = {name: [vector] for name, vector in embeddings.items() if vector is not None}
        else:
            given = None if embeddings is None else [embeddings]
        return self.remember_many(
            [text],
            given,
            image=image,
            audio=audio,
            category=category,
            metadata=metadata,
            timestamp=timestamp,
            expires=expires,
            namespace=namespace,
            origin=origin,
            trust=trust,
        )[0]

    def remember_many(
        self,
        texts: Sequence[str | None],
        embeddings: Any = None,
        *,
        image: OneOrEach[MediaLike | None] = None,
        audio: OneOrEach[MediaLike | None] = None,
        category: OneOrEach[str | None] = None,
        metadata: OneOrEach[dict[str, Any] | None] = None,
        timestamp: OneOrEach[Moment | None] = None,
        expires: OneOrEach[Moment | timedelta | None] = None,
        namespace: OneOrEach[str | None] = None,
        origin: OneOrEach[str] = ORIGINS[0],
        trust: OneOrEach[float | None] = None,
        progress: Progress = no_progress,
    ) -> list[int]:
        """Stores many memories. Nothing is stored if any argument cannot be used.

        The work is committed in parts: after an error or a kill, the first memories may be stored already, in
        order and without gaps. Of all arguments but the first two, give one value for all or a list with one
        each; a column of NumPy or pandas is a list, too, and its times without a zone are UTC.

        Args:
            texts: what to remember; None beside an image or a sound that speaks for itself.
            embeddings: vectors float32 [len(texts), dimension] of the texts if they are there already, or
                sequences of vectors by the names of their spaces, with None for those without.
            image: bytes of an image file, or its path; kept as it is, once however often it is remembered.
            audio: the same of a sound.
            category: a label to filter by.
            metadata: JSON values that come back with it.
            timestamp: when it happened; now if not given.
            expires: when it is forgotten by itself: a moment, or a time from now.
            namespace: where it belongs.
            origin: who says it: ``user``, ``agent``, ``tool``, ``web`` or ``derived``.
            trust: how far to believe it, 0 to 1; by default what its origin is trusted.
            progress: called with (memories on disk, all memories, "memories").

        Returns:
            Their ids, in order.

        Raises:
            InvalidArgumentError: an argument cannot be used.
            MemoryStoreError: they could not be stored.
        """
        self._check_open()
        columns = {
            **{"image": image, "audio": audio, "category": category, "metadata": metadata},
            **{"timestamp": timestamp, "expires": expires, "origin": origin, "trust": trust},
            "namespace": self._confined(namespace),
        }
        drafts = make_drafts(texts, columns)
        for name in sorted({draft.namespace for draft in drafts}):
            self._watch.allow("remember", name)
        drafts = self._watch.redact(drafts)
        ids: list[int] = []
        for part in self._intake.store(drafts, embeddings):
            ids += part
            self._watch.note("remember", part)
            progress(len(ids), len(drafts), "memories")
        return ids

    def forget(self, ids: int | Iterable[int]) -> int:
        """Forgets memories, and what was derived from them: from now on they are never returned again.

        Their bytes stay in the files until the segment is rewritten by itself, or `compact` is called.

        Args:
            ids: one id or several; unknown ones are passed over.

        Returns:
            How many memories were forgotten, derived ones included.
        """
        self._check_open()
        chosen = self._admitted("forget", check_ids(ids))
        gone = forget(self._catalogue, self._sessions.current, chosen, Limits(namespace=self._namespace))
        if gone:
            self._watch.note("forget", gone, sync=True)
            self._keeper.reclaim()
        return len(gone)

    def erase(self, ids: int | Iterable[int]) -> Receipt:
        """Forgets memories and what was derived from them, compacts, and looks for their bytes in all files.

        Args:
            ids: one id or several; unknown ones are passed over.

        Returns:
            A signed receipt that no byte of their texts and vectors is in any file of the store;
            `arrowmind.privacy.verify_receipt` checks it.

        Raises:
            MemoryStoreError: some bytes are still there, as another process holds an old file.
        """
        from arrowmind.memory.keeping.erasing import bytes_of, testify  # noqa: PLC0415  needs what recall does not

        self._check_open()
        asked = self._admitted("forget", check_ids(ids))
        session, snapshot = self._sessions.current, self._sessions.current.snapshot()
        with self._catalogue.reading() as db:
            chosen = [*asked, *derived_from(db, asked)]
            store = str(tables.settings(db)["store"])
        wanted = sorted(snapshot.admitted(chosen, replace(self._whole(snapshot), archived=True)))
        held = bytes_of(snapshot, wanted)
        gone = forget(self._catalogue, session, wanted, Limits(namespace=self._namespace))
        self._watch.note("forget", gone, sync=True)
        self._keeper.compact()
        return testify(self._paths, store, held, self._watch.privacy, session.snapshot())
