"""An open store: its parts, figures and checks, and letting go of it."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.config import default_config
from arrowmind.errors import InvalidArgumentError, MemoryStoreError
from arrowmind.memory.encoder import Encoders
from arrowmind.memory.intake.drafts import check_name
from arrowmind.memory.intake.receiving import Intake
from arrowmind.memory.keeping.keeper import Keeper
from arrowmind.memory.keeping.statistics import collect_stats
from arrowmind.memory.keeping.verification import verify_store
from arrowmind.memory.opening import check_encoder, open_catalogue
from arrowmind.memory.searching.recaller import UNKNOWN, Limits, Recaller
from arrowmind.memory.session import SessionHolder
from arrowmind.memory.settings import configured_recall_settings, configured_store_settings
from arrowmind.memory.storage import tables
from arrowmind.memory.storage.blocks import Filter
from arrowmind.memory.unlocking import unlock
from arrowmind.memory.watching import Caller, Watch
from arrowmind.observe import metrics

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from types import TracebackType

    from typing_extensions import Self

    from arrowmind.config import Config
    from arrowmind.memory.encoder import AudioEncoder, ImageEncoder, TextEncoder
    from arrowmind.memory.records import StoreStats, VerifyReport
    from arrowmind.memory.settings import RecallSettings, StoreSettings
    from arrowmind.memory.storage.paths import StorePaths
    from arrowmind.memory.storage.snapshot import Snapshot
    from arrowmind.weights.encryption.secret import Secret


__all__ = ["OpenedStore"]


class OpenedStore:
    """What every use of a store needs."""

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
        key: Secret | None = None,
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
            key: opens an encrypted store, and encrypts a new one; None takes `privacy.store_key`, and for an
                encrypted store ARROWMIND_KEY.
            settings: when it moves data between its files; None takes `memory.flush_rows`.
            recall_settings: how it ranks; None takes `memory.vector_weight` and `memory.text_weight`.
            config: the configuration; None reads the one that applies (`load_config`).

        Raises:
            MemoryStoreError: there is no store and ``create`` is False, the folder holds something else or
                cannot be used, the catalogue is damaged, or the store was made with another encoder.
            StoreVersionError: a newer version of this package made the store.
            IntegrityError: the store is encrypted, and not with this key.
            ConfigurationError: the configuration cannot be read, or an encrypted store has no key.
            InvalidArgumentError: the namespace is empty, which might be meant for none or for any.
        """
        config = default_config(config)
        root = Path(config.memory.path).expanduser() if path is None else Path(path)
        self._closed = False
        self._namespace = check_name(namespace, "namespace")
        self._owner: OpenedStore | None = None
        self._top_k = config.memory.top_k
        settings = settings or configured_store_settings(config)
        recall_settings = recall_settings or configured_recall_settings(config)
        self._paths = unlock(root, key, config.privacy.store_key, settings.busy_seconds, create=create)
        self._catalogue = open_catalogue(self._paths, settings.busy_seconds, create=create)
        self._sessions = SessionHolder(self._catalogue, self._paths, engine)
        self._keeper = Keeper(self._catalogue, self._paths, self._sessions, settings)
        encoders = Encoders(engine, image_engine, audio_engine)
        self._watch = Watch(config.privacy, self._paths, Caller(caller, purpose, self._namespace))
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

    @property
    def paths(self) -> StorePaths:
        """Where the parts of the store lie, with the keys to them."""
        return self._paths

    def acting_as(self, caller: str, purpose: str = "") -> Self:
        """The same store for somebody else, who may do what the rules say of them. It ends with this one.

        Args:
            caller: who, for `privacy.roles` and the access log.
            purpose: why, for the access log.
        """
        self._check_open()
        other = copy(self)
        other._owner = self._owner or self
        other._watch = self._watch.acting_as(Caller(caller, purpose, self._namespace))
        return other

    def _admitted(self, action: str, ids: Sequence[int], *, logged: bool = True) -> list[int]:
        """Those of some memories that lie where the caller may; others are as if they were not there.

        Raises:
            PermissionDeniedError: the caller may do so nowhere.
        """
        if self._watch.covers(action):
            return list(ids)
        self._watch.allow_somewhere(action)
        snapshot = self._sessions.current.snapshot()
        names = snapshot.namespaces
        places = {id_: snapshot.find(id_) for id_ in ids}
        homes = {id_: names[int(p[0].rows.namespaces[p[1]])] for id_, p in places.items() if p is not None}
        return [id_ for id_, name in homes.items() if self._watch.admits(action, name, logged=logged)]

    def _open_intake(self, encoders: Encoders) -> Intake:
        return Intake(self._catalogue, self._keeper, encoders, self._paths, self._settings.flush_rows)

    def _confined(self, namespace: Any) -> Any:
        """The namespace to use: that of this object, if it is confined to one."""
        if self._namespace is None or namespace in (None, self._namespace):
            return self._namespace or namespace
        raise InvalidArgumentError(
            f"namespace={namespace!r}: the store was opened for {self._namespace!r} alone; open another"
        )

    def _whole(self, snapshot: Snapshot) -> Filter:
        """All that this object may see."""
        limits = Limits(namespace=self._namespace)
        return limits.filter(snapshot) or Filter(0, namespace=UNKNOWN)

    def stats(self) -> StoreStats:
        """Size and state of the store."""
        self._check_open()
        self._watch.allow("stats")
        stats = collect_stats(self._paths, self._catalogue, self._sessions.current.snapshot())
        metrics.memories.set(stats.records, store=stats.path)
        return stats

    def verify(self) -> VerifyReport:
        """Reads everything and checks it: catalogue, checksums, codes, text index."""
        self._check_open()
        self._watch.allow("verify")
        return verify_store(self._paths, self._catalogue)

    def close(self) -> None:
        """Writes access counters and lets go of all files. Closing twice does nothing."""
        if self._closed or self._owner is not None:
            return
        self._sessions.current.accesses.write(busy_seconds=1.0)
        self._watch.close()
        self._closed = True
        self._catalogue.seal()
        self._catalogue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"MemoryStore({str(self._paths.root)!r})"

    def _check_open(self) -> None:
        if (self._owner or self)._closed:
            raise MemoryStoreError(f"{self._paths.root}: the store is closed; open it again")
