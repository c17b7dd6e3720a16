"""The memory store: remember texts, recall them by meaning and by words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.config import default_config
from arrowmind.errors import InvalidArgumentError, MemoryStoreError
from arrowmind.memory import tables
from arrowmind.memory.aligning import align, joint_rows
from arrowmind.memory.backup import back_up
from arrowmind.memory.blobs import read_blob
from arrowmind.memory.drafts import check_ids, check_top_k, clean_text, make_drafts
from arrowmind.memory.encoder import Encoders
from arrowmind.memory.forgetting import forget
from arrowmind.memory.importing import Door, import_export
from arrowmind.memory.intake import Intake
from arrowmind.memory.keeper import Keeper
from arrowmind.memory.lifecycle import Lifecycle
from arrowmind.memory.lifecycle_tables import derived_from
from arrowmind.memory.opening import check_encoder, open_catalogue
from arrowmind.memory.paths import StorePaths
from arrowmind.memory.questions import Asked
from arrowmind.memory.recaller import UNKNOWN, Limits, Recaller
from arrowmind.memory.session import SessionHolder
from arrowmind.memory.settings import configured_recall_settings, configured_store_settings
from arrowmind.memory.snapshot import Filter
from arrowmind.memory.statistics import collect_stats
from arrowmind.memory.traits import ORIGINS
from arrowmind.memory.transfer import export_store
from arrowmind.memory.verification import verify_store
from arrowmind.memory.watching import Caller, Watch
from arrowmind.observe import metrics, no_progress

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence
    from datetime import timedelta
    from types import TracebackType
    from typing import TypeAlias, TypeVar

    import numpy as np
    import numpy.typing as npt

    from arrowmind.config import Config
    from arrowmind.memory.aligning import AlignmentReport
    from arrowmind.memory.attachments import Attachment
    from arrowmind.memory.encoder import AudioEncoder, ImageEncoder, TextEncoder
    from arrowmind.memory.links import Link
    from arrowmind.memory.ranked import Evidence
    from arrowmind.memory.records import CompactionReport, Hit, Record, StoreStats, VerifyReport
    from arrowmind.memory.settings import RecallSettings, StoreSettings
    from arrowmind.memory.snapshot import Snapshot
    from arrowmind.memory.times import Moment
    from arrowmind.memory.transfer import Exported
    from arrowmind.observe import Progress
    from arrowmind.privacy import Receipt

    T = TypeVar("T")
    OneOrEach: TypeAlias = T | Sequence[T]
    MediaLike: TypeAlias = bytes | str | os.PathLike[str]

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
        image_engine: ImageEncoder | None = None,
        audio_engine: AudioEncoder | None = None,
        namespace: str | None = None,
        caller: str | None = None,
        purpose: str = "",
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
            image_engine: makes vectors of images, and of texts to find images by.
            audio_engine: makes vectors of sounds.
            namespace: confines all that is done through this object to one namespace.
            caller: who uses the store, for `privacy.roles` and the access log; None takes
                `privacy.principal`.
            purpose: why, for the access log.
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
        encoders = Encoders(engine, image_engine, audio_engine)
        self._namespace = namespace
        self._watch = Watch(config.privacy, self._paths.privacy, Caller(caller, purpose, namespace))
        self._encoders, self._settings = encoders, settings
        self._intake = self._open_intake(encoders)
        self._recaller = Recaller(
            self._catalogue, self._sessions, self._keeper, encoders, recall_settings, root
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
        each.

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

    def _confined(self, namespace: Any) -> Any:
        """The namespace to use: that of this object, if it is confined to one."""
        if self._namespace is None or namespace in (None, self._namespace):
            return self._namespace or namespace
        raise InvalidArgumentError(
            f"namespace={namespace!r}: the store was opened for {self._namespace!r} alone; open another"
        )

    # Recalling.

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

    def evidence(
        self, text: str, top_k: int | None = None, *, namespace: str | None = None
    ) -> Evidence | None:
        """What speaks for each memory that may answer a query, before it is weighed.

        `arrowmind.memory.ranking.learning.learn` turns such tables and known answers into weights for
        `RecallSettings`.

        Args:
            text: the query.
            top_k: how many hits the recall would give; it decides how far the search goes.
            namespace: only memories of this namespace.

        Returns:
            None where nothing may answer.
        """
        self._check_open()
        number = check_top_k(self._top_k if top_k is None else top_k)
        limits = Limits(namespace=self._confined(namespace))
        examined = self._recaller.examine(Asked(clean_text(text)), number, limits)
        return None if examined is None else examined.evidence()

    def link(self, limit: int = 1_000_000, progress: Progress = no_progress) -> int:
        """Links memories that came since the last call with what they resemble: the association graph.

        Each new memory is searched for once, so this is work for quiet hours; recall does without until then.
        What this object recalled together is linked, too.

        Args:
            limit: memories to link, at most, the oldest first.
            progress: called with (memories linked, memories to link, "links").

        Returns:
            How many were linked.

        Raises:
            MemoryStoreError: the store is damaged, or another process writes for too long.
        """
        self._check_open()
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise InvalidArgumentError(f"limit={limit!r}: give a whole number of at least 1")
        return self._recaller.link(limit, progress)

    def links(self, id: int) -> list[Link]:  # noqa: A002  the documented name
        """What a memory is linked with, the strongest first; empty for one that is not there.

        Raises:
            InvalidArgumentError: it is no id.
        """
        self._check_open()
        (number,) = check_ids([id])
        return self._recaller.links(number, Limits(namespace=self._confined(None)))

    def get(self, id: int) -> Record | None:  # noqa: A002  the documented name
        """The memory with this id; None if there is none, or it was forgotten.

        Raises:
            InvalidArgumentError: it is no id.
            MemoryStoreError: the memory is damaged.
        """
        self._check_open()
        self._watch.allow("get")
        for number in check_ids([id]):
            return self._recaller.get(number, Limits(namespace=self._namespace))
        return None

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

    def attachment(self, attachment: Attachment) -> bytes:
        """The bytes of an image or a sound of a record.

        Raises:
            MemoryStoreError: they are gone, as after a compaction once forgotten, or damaged.
        """
        self._check_open()
        return read_blob(self._paths.blobs, attachment)

    # Forgetting.

    def forget(self, ids: int | Iterable[int]) -> int:
        """Forgets memories, and what was derived from them: from now on they are never returned again.

        Their bytes stay in the files until the segment is rewritten by itself, or `compact` is called.

        Args:
            ids: one id or several; unknown ones are passed over.

        Returns:
            How many memories were forgotten, derived ones included.
        """
        self._check_open()
        self._watch.allow("forget")
        gone = forget(
            self._catalogue, self._sessions.current, check_ids(ids), Limits(namespace=self._namespace)
        )
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
        from arrowmind.memory.erasing import bytes_of, testify  # noqa: PLC0415  needs what recall does not

        self._check_open()
        self._watch.allow("forget")
        session, snapshot = self._sessions.current, self._sessions.current.snapshot()
        with self._catalogue.reading() as db:
            chosen = [*check_ids(ids), *derived_from(db, check_ids(ids))]
            store = str(tables.settings(db)["store"])
        wanted = sorted(snapshot.admitted(chosen, replace(self._whole(snapshot), archived=True)))
        held = bytes_of(snapshot, wanted)
        gone = forget(self._catalogue, session, wanted, Limits(namespace=self._namespace))
        self._watch.note("forget", gone, sync=True)
        self._keeper.compact()
        return testify(self._paths.root, store, held, self._watch.privacy, session.snapshot())

    @property
    def lifecycle(self) -> Lifecycle:
        """Derives memories from others and moves them between tiers, for consolidation."""
        self._check_open()
        return Lifecycle(self._catalogue, self._sessions, self._intake, self._keeper)

    def compact(self) -> CompactionReport:
        """Removes every byte of what was forgotten or has expired from all files, and merges small segments.

        Other processes that still read an old file keep its bytes alive on disk until they look again.

        Raises:
            MemoryStoreError: another process works on the files, or there is no room to write.
        """
        self._check_open()
        self._watch.allow("compact")
        report = self._keeper.compact()
        self._watch.note("compact")
        return report

    def flush(self) -> None:
        """Moves what waits in the catalogue into a segment and indexes it, which also happens by itself."""
        self._check_open()
        self._keeper.flush()

    # Several kinds of content in one space.

    def align(self, *, train: bool = False, progress: Progress = no_progress) -> AlignmentReport:
        """Learns from the memories that hold several kinds how these go together.

        From then on a query of one kind also finds memories that hold another kind alone. The maps are of
        closed form, take seconds and depend on the memories alone; do it again as more are remembered.

        Args:
            train: also train the fusion of `joint` (needs torch); it is used if it finds more on memories
                that are held out.
            progress: called with (steps done, all, "training").

        Raises:
            InvalidArgumentError: too few memories to train on.
            MemoryStoreError: the store cannot be written.
        """
        self._check_open()
        snapshot = self._sessions.current.snapshot()
        return align(self._catalogue, self._paths, snapshot, train=train, progress=progress)

    def joint(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Vectors of memories in one space for all kinds of content, float32 [len(ids), 768] of length 1.

        They are made of the vectors in all spaces by the alignment that is in use; one of zeros stands for a
        memory that is not there.
        """
        self._check_open()
        session = self._sessions.current
        snapshot = session.snapshot()
        found = snapshot.admitted(ids, replace(self._whole(snapshot), archived=True))
        vectors = session.joint(snapshot).embed(joint_rows(snapshot, ids))
        vectors[[id_ not in found for id_ in ids]] = 0
        return vectors

    def _whole(self, snapshot: Snapshot) -> Filter:
        """All that this object may see."""
        limits = Limits(namespace=self._namespace)
        return limits.filter(snapshot) or Filter(0, namespace=UNKNOWN)

    # Copies.

    def backup(self, target: str | os.PathLike[str], progress: Progress = no_progress) -> int:
        """Copies the store to a new folder, as it is now; it goes on being used meanwhile.

        Args:
            target: a folder that is not there yet.
            progress: called with (bytes copied, all, "bytes").

        Returns:
            Bytes of the copy.

        Raises:
            MemoryStoreError: the target is there already or cannot be written.
        """
        self._check_open()
        if self._namespace is not None:
            raise InvalidArgumentError(
                f"backup: the store was opened for {self._namespace!r} alone; open the whole, or export"
            )
        self._watch.allow("backup")
        self._watch.note("backup", sync=True)
        return back_up(self._catalogue, self._paths, Path(target), self._settings.busy_seconds, progress)

    def export(self, target: str | os.PathLike[str], progress: Progress = no_progress) -> Exported:
        """Writes all memories, vectors, images and sounds as Parquet files and blobs to a new folder.

        Args:
            target: a folder that is not there yet.
            progress: called with (memories written, all, "memories").

        Raises:
            MemoryStoreError: the target is there already or cannot be written, or a memory is damaged.
        """
        self._check_open()
        self._watch.allow("export")
        self._watch.note("export", sync=True)
        snapshot, limits = self._sessions.current.snapshot(), Limits(namespace=self._namespace)
        with self._catalogue.reading() as db:
            name = str(tables.settings(db)["store"])

        def describe(id_: int) -> Record | None:
            return self._recaller.get(id_, limits)

        where = (self._paths.blobs, Path(target))
        return export_store(
            snapshot, replace(self._whole(snapshot), archived=True), describe, *where, name, progress
        )

    def import_from(self, source: str | os.PathLike[str], progress: Progress = no_progress) -> int:
        """Takes in the memories of an export, under new ids. Cut off, it goes on where it stopped.

        Args:
            source: the folder of the export.
            progress: called with (memories on disk, all, "memories").

        Returns:
            How many came.

        Raises:
            InvalidArgumentError: the folder holds no export, or vectors that cannot be compared with the
                store's while no engine is there to make others.
            MemoryStoreError: the export is damaged, or the store cannot be written.
        """
        self._check_open()
        self._watch.allow("import")
        self._watch.note("import", sync=True)
        door = Door(self._encoders, self._open_intake, self._watch.redact)
        return import_export(Path(source), self._catalogue, door, progress)

    def _open_intake(self, encoders: Encoders) -> Intake:
        return Intake(self._catalogue, self._keeper, encoders, self._paths, self._settings.flush_rows)

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
        self._watch.close()
        self._closed = True
        self._catalogue.seal()
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
