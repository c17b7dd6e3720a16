"""Opens a memory store as the settings say."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory import MemoryStore, RecallSettings
from arrowmind.memory.storage.encryption import holds_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from arrowmind.cli.session import Session
    from arrowmind.memory import TextEncoder

__all__ = ["Models", "is_store", "open_store"]


@dataclass(frozen=True)
class Models:
    """Folders of the models that a store is opened with.

    Attributes:
        text: makes vectors of texts; None takes `model.path`.
        image: of images; None takes `memory.image_model`.
        audio: of sounds; None takes `memory.audio_model`.
        words_only: open none.
    """

    text: str | None = None
    image: str | None = None
    audio: str | None = None
    words_only: bool = False

    def engines(self, session: Session) -> dict[str, Any]:
        """Engines by the arguments of `MemoryStore`; a model that does two things is opened once."""
        memory = session.config.memory
        return self._opened(
            session,
            {
                "engine": self.text or session.config.model.path,
                "image_engine": self.image or memory.image_model,
                "audio_engine": self.audio or memory.audio_model,
            },
        )

    def media_engines(self, session: Session) -> dict[str, Any]:
        """Those of images and sounds alone."""
        memory = session.config.memory
        folders = {"image_engine": self.image or memory.image_model}
        return self._opened(session, {**folders, "audio_engine": self.audio or memory.audio_model})

    def check_senses(self, session: Session, *, image: bool, audio: bool) -> None:
        """Refuses to look for an image or a sound where no model makes vectors of such.

        Raises:
            InvalidArgumentError: it says which option names one.
        """
        memory = session.config.memory
        folders = {"image": self.image or memory.image_model, "audio": self.audio or memory.audio_model}
        for kind, given in (("image", image), ("audio", audio)):
            if given and not folders[kind]:
                raise InvalidArgumentError(
                    f"--{kind} needs a model that makes vectors of it; give --{kind}-model, or set "
                    f"memory.{kind}_model"
                )

    def _opened(self, session: Session, folders: dict[str, str]) -> dict[str, Any]:
        if self.words_only or not any(folders.values()):
            return {}
        from arrowmind.cli.engines import open_engine  # noqa: PLC0415  not needed for words alone

        opened = {folder: open_engine(session, folder) for folder in set(folders.values()) - {""}}
        return {argument: opened[folder] for argument, folder in folders.items() if folder}


@contextmanager
def open_store(
    session: Session,
    path: Path | None,
    engine: TextEncoder | None = None,
    *,
    create: bool = False,
    words_only: bool = False,
    models: Models | None = None,
    media: Mapping[str, Any] | None = None,
    namespace: str | None = None,
    caller: str | None = None,
    purpose: str = "",
) -> Iterator[MemoryStore]:
    """A store, closed at the end of the block.

    Args:
        session: Its settings say how the store keeps and ranks.
        path: Folder of the store; None takes `memory.path`.
        engine: Makes vectors of texts; None for what needs none.
        create: Make the store where there is none.
        words_only: Leave meaning out of recall.
        models: Opened instead of `engine`.
        media: Engines of images and sounds, by the arguments of `MemoryStore`.
        namespace: Confines the store to it.
        caller: Who uses it, for roles and the access log; None takes `privacy.principal`.
        purpose: Noted in the access log.

    Raises:
        MemoryStoreError: there is no store there and `create` is off, or it cannot be used.
    """
    words_only = words_only or (models is not None and models.words_only)
    ranking = RecallSettings(vector_weight=0.0, text_weight=1.0) if words_only else None
    engines = {"engine": engine, **(media or {})} if models is None else models.engines(session)
    more: dict[str, Any] = {"recall_settings": ranking, "namespace": namespace, "config": session.config}
    more |= {"caller": caller, "purpose": purpose}
    with MemoryStore(path, create=create, **engines, **more) as store:
        yield store


def is_store(path: Path) -> bool:
    """Whether a folder holds a memory store."""
    return holds_store(path)
