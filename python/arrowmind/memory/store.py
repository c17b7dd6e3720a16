"""The memory store: remember texts, recall them by meaning and by words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.config import default_config
from arrowmind.errors import InvalidArgumentError, MemoryStoreError
from arrowmind.memory import tables
from arrowmind.memory.drafts import check_ids, check_top_k, clean_text, make_drafts
from arrowmind.memory.intake import Intake
from arrowmind.memory.keeper import Keeper
from arrowmind.memory.opening import check_encoder, open_catalogue
from arrowmind.memory.paths import StorePaths
from arrowmind.memory.recaller import Limits, Recaller
from arrowmind.memory.session import SessionHolder
from arrowmind.memory.settings import configured_recall_settings, configured_store_settings
from arrowmind.memory.statistics import collect_stats
from arrowmind.memory.verification import verify_store
from arrowmind.observe import metrics, no_progress

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence
    from datetime import timedelta
    from types import TracebackType

    from arrowmind.config import Config
    from arrowmind.memory.encoder import TextEncoder
    from arrowmind.memory.records import CompactionReport, Hit, Record, StoreStats, VerifyReport
    from arrowmind.memory.settings import RecallSettings, StoreSettings
    from arrowmind.memory.times import Moment
    from arrowmind.observe import Progress

__all__ = ["MemoryStore"]


class MemoryStore:
    """A folder of memories.

    Several processes and threads may use one store at once. What `remember` returned an id for survives a
    killed process and a power cut. Forked processes may go on using the object.

    Example:
        >>> with MemoryStore("memory", engine) as store:  # doctest: +SKIP
        ...     store.remember("The key lies under the blue pot.")
        ...     print(store.recall("where is the key?")[0].text)
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        engine: TextEncoder | None = None,
        *,
        create: bool = True,
        settings: StoreSettings | None = None,
        recall_settings: RecallSettings | None = None,
        config: Config | None = None,
    ) -> None:
        """Opens a store.

        What is not given is taken from the configuration: environment, then file, then default.

        Args:
            path: its folder; None takes `memory.path`.
            engine: makes vectors of texts. Without one, recall goes by words only, and remembering needs
                vectors from the caller.
            create: whether to make a new store where there is none.
            settings: when it moves data between its files; None takes `memory.flush_rows`.
            recall_settings: how it ranks; None takes `memory.vector_weight` and `memory.text_weight`.
            config: the configuration; None reads the one that applies (`load_config`).

        Raises:
            MemoryStoreError: there is no store and ``create`` is False, the folder holds something else or
                cannot be used, the catalogue is damaged, or the store was made with another encoder.
            StoreVersionError: a newer version of this package made the store.
            ConfigurationError: the configuration cannot be read.
        """
        config = default_config(config)
        self._paths = StorePaths(Path(config.memory.path).expanduser() if path is None else Path(path))
        self._closed = False
        self._top_k = config.memory.top_k
        settings = settings or configured_store_settings(config)
        recall_settings = recall_settings or configured_recall_settings(config)
        self._catalogue = open_catalogue(self._paths, settings.busy_seconds, create=create)
        self._sessions = SessionHolder(self._catalogue, self._paths)
        self._keeper = Keeper(self._catalogue, self._paths, self._sessions, settings)
        root = self._paths.root
        self._intake = Intake(self._catalogue, self._keeper, engine, root, settings.flush_rows)
        self._recaller = Recaller(
            self._catalogue, self._sessions, self._keeper, engine, recall_settings, root
        )
        try:
            with self._catalogue.reading() as db:
                check_encoder(tables.settings(db), engine, root)
            self._keeper.sweep()
        except BaseException:
            self._catalogue.close()
            raise

    # Remembering.

    def remember(
        self,
        text: str,
        *,
        category: str | None = None,
        metadata: dict[str, Any] | None = None,
        timestamp: Moment | None = None,
        expires: Moment | timedelta | None = None,
    ) -> int:
        """Stores one text, verbatim. When it returns, the text is on disk.

        Args:
            text: what to remember; lone surrogates become U+FFFD.
            category: a label to filter by.
            metadata: JSON values that come back with it.
            timestamp: when it happened; now if not given.
            expires: when it is forgotten by itself: a moment, or a time from now.

        Returns:
            Its id.

        Raises:
            InvalidArgumentError: an argument cannot be used.
            MemoryStoreError: it could not be stored.
        """
        return self.remember_many(
            [text], category=category, metadata=metadata, timestamp=timestamp, expires=expires
        )[0]

    def remember_many(
        self,
        texts: Sequence[str],
        embeddings: Any = None,
        *,
        category: str | Sequence[str | None] | None = None,
        metadata: dict[str, Any] | Sequence[dict[str, Any] | None] | None = None,
        timestamp: Moment | Sequence[Moment | None] | None = None,
        expires: Moment | timedelta | Sequence[Moment | timedelta | None] | None = None,
        progress: Progress = no_progress,
    ) -> list[int]:
        """Stores many texts. Nothing is stored if any argument cannot be used.

        The work is committed in parts: after an error or a kill, the first texts may be stored already, in
        order and without gaps.

        Args:
            texts: what to remember.
            embeddings: vectors float32 [len(texts), dimension] if they are there already.
            category: one for all, or one per text; so are metadata, timestamp and expires.
            metadata: see `remember`.
            timestamp: see `remember`.
            expires: see `remember`.
            progress: called with (texts on disk, all texts, "memories").

        Returns:
            Their ids, in order.

        Raises:
            InvalidArgumentError: an argument cannot be used.
            MemoryStoreError: they could not be stored.
        """
        self._check_open()
        drafts = make_drafts(texts, category, metadata, timestamp, expires)
        ids: list[int] = []
        for part in self._intake.store(drafts, embeddings):
            ids += part
            progress(len(ids), len(drafts), "memories")
        return ids

    # Recalling.

    def recall(
        self,
        query: str,
        top_k: int | None = None,
        *,
        category: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        embedding: Any = None,
    ) -> list[Hit]:
        """Finds memories by meaning and by words.

        Args:
            query: any text. An empty one finds nothing; signs such as quotes or AND have no special meaning.
            top_k: how many memories at most; None takes `memory.top_k`, by default 10.
            category: only those of this category.
            since: only those from then on.
            until: only those before then.
            embedding: vector float32 [dimension] of the query, if it is there already.

        Returns:
            The best first; fewer than ``top_k`` if the store has no more.

        Raises:
            InvalidArgumentError: an argument cannot be used.
            MemoryStoreError: the store is damaged.
        """
        self._check_open()
        if not isinstance(query, str):
            raise InvalidArgumentError(f"query is {type(query).__name__}; give a string")
        number = check_top_k(self._top_k if top_k is None else top_k)
        with metrics.recall_seconds.time():
            return self._recaller.recall(clean_text(query), number, Limits(category, since, until), embedding)

    def get(self, id: int) -> Record | None:  # noqa: A002  the documented name
        """The memory with this id; None if there is none, or it was forgotten.

        Raises:
            InvalidArgumentError: it is no id.
            MemoryStoreError: the memory is damaged.
        """
        self._check_open()
        for number in check_ids([id]):
            return self._recaller.get(number)
        return None

    # Forgetting.

    def forget(self, ids: int | Iterable[int]) -> int:
        """Forgets memories: from now on they are never returned again.

        Their bytes stay in the files until the segment is rewritten by itself, or `compact` is called.

        Args:
            ids: one id or several; unknown ones are passed over.

        Returns:
            How many memories were forgotten.
        """
        self._check_open()
        numbers = check_ids(ids)
        session = self._sessions.current
        with self._catalogue.writing() as db:
            snapshot = session.snapshot_in(db)
            places = {id_: place for id_ in numbers if (place := snapshot.find(id_)) is not None}
            tables.delete_pending(db, [id_ for id_, (block, _) in places.items() if block.segment is None])
            tables.insert_tombstones(
                db,
                [
                    (id_, block.segment.id, block.rows.window_count(row))
                    for id_, (block, row) in places.items()
                    if block.segment is not None
                ],
            )
            tables.delete_accesses(db, places)
            if places:
                tables.touch_layout(db)
        session.accesses.drop(places)
        if places:
            self._keeper.reclaim()
        return len(places)

    def compact(self) -> CompactionReport:
        """Removes every byte of what was forgotten or has expired from all files, and merges small segments.

        Other processes that still read an old file keep its bytes alive on disk until they look again.

        Raises:
            MemoryStoreError: another process works on the files, or there is no room to write.
        """
        self._check_open()
        return self._keeper.compact()

    def flush(self) -> None:
        """Moves what waits in the catalogue into a segment and indexes it, which also happens by itself."""
        self._check_open()
        self._keeper.flush()

    # Everything else.

    def stats(self) -> StoreStats:
        """Size and state of the store."""
        self._check_open()
        stats = collect_stats(self._paths, self._catalogue, self._sessions.current.snapshot())
        metrics.memories.set(stats.records, store=stats.path)
        return stats

    def verify(self) -> VerifyReport:
        """Reads everything and checks it: catalogue, checksums, codes, text index."""
        self._check_open()
        return verify_store(self._paths, self._catalogue)

    def close(self) -> None:
        """Writes access counters and lets go of all files. Closing twice does nothing."""
        if self._closed:
            return
        self._sessions.current.accesses.write(busy_seconds=1.0)
        self._closed = True
        self._catalogue.close()

    def __enter__(self) -> MemoryStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"MemoryStore({str(self._paths.root)!r})"

    def _check_open(self) -> None:
        if self._closed:
            raise MemoryStoreError(f"{self._paths.root}: the store is closed; open it again")
