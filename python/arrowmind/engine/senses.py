"""A model of several senses, compiled: text, images and sound to vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from arrowmind import _native
from arrowmind.engine.batching import pack
from arrowmind.engine.layers import Options
from arrowmind.engine.tower_compiler import compile_tower
from arrowmind.engine.windows import Window, frames_of, windows_of
from arrowmind.errors import InvalidArgumentError, TokenizerError
from arrowmind.media import log_mel, open_image, prepare_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from arrowmind.engine.on_device import DeviceHost
    from arrowmind.engine.placed_plan import PlacedPlan
    from arrowmind.media.images import ImageSource
    from arrowmind.models.tower_spec import ImageStem, SenseSpec, SoundStem, Tower, TowerKind
    from arrowmind.weights import WeightSource

__all__ = ["Senses", "cut_at_end", "patches_of"]

# Rows of a micro-batch.
_MICRO_ROWS = 256
_CHANNELS = 3
# Rows of sounds that are run together: a minute.
_SOUND_ROWS = 3000


def patches_of(pixels: NDArray[np.float32], patch: int) -> NDArray[np.float32]:
    """Rows of a tower of images: float32 [3, n, n] -> [1 + patches, 3 * patch * patch], zeros first."""
    edge = pixels.shape[1] // patch
    rows = np.zeros((1 + edge * edge, _CHANNELS * patch * patch), dtype=np.float32)
    blocks = pixels.reshape(_CHANNELS, edge, patch, edge, patch).transpose(1, 3, 0, 2, 4)
    rows[1:].reshape(blocks.shape)[:] = blocks
    return rows


def cut_at_end(ids: list[int]) -> list[int]:
    """Token ids up to the first token that ends a text: the tower's last row stands for the text.

    Raises:
        TokenizerError: there are none.
    """
    if not ids:
        raise TokenizerError(
            "the tokenizer gives a text no token that ends it; convert the model again with the "
            "tokenizer.json it was trained with"
        )
    return ids[: ids.index(ids[-1]) + 1]


class Senses:
    """The towers of a model. Results do not depend on batch composition or thread count."""

    def __init__(
        self,
        model: SenseSpec,
        weights: WeightSource,
        threads: _native.ThreadPool,
        options: Options | None = None,
        host: DeviceHost | None = None,
    ) -> None:
        """Compiles the towers of `model` over `weights`; those that encode run on the device of `host`.

        Raises:
            WeightError: A tensor is missing or has another shape than the model needs.
        """
        self.model, self.weights = model, weights
        self.threads, self.options, self.host = threads, options or Options(), host
        self.compiled = {tower.kind: compile_tower(tower, weights, self.options) for tower in model.towers}
        self._plans: dict[TowerKind, _native.Plan | PlacedPlan] = {**self.compiled}
        for kind, plan in self.compiled.items():
            # A transcript is more than one forward: who writes it places it (TranscriptPlans).
            if host is not None and kind != "transcript":
                self._plans[kind] = host.place(plan)

    def kernels(self) -> list[str]:
        """Names of the kernels that it runs."""
        kernels_of = _native.Plan.kernels if self.host is None else self.host.kernels
        return list(dict.fromkeys(name for plan in self.compiled.values() for name in kernels_of(plan)))

    @property
    def scratch_bytes_per_token(self) -> int:
        """Memory of a forward beside weights and results, of the tower that needs most."""
        return max(plan.scratch_bytes_per_token for plan in self._plans.values())

    def tower(self, kind: TowerKind) -> Tower:
        """The tower of this kind.

        Raises:
            InvalidArgumentError: the model has none.
        """
        found = self.model.tower(kind)
        if found is None:
            has = ", ".join(tower.kind for tower in self.model.towers)
            raise InvalidArgumentError(
                f"a {self.model.family} model has no tower of {kind}; it has {has}: open a model that has one"
            )
        return found

    def plan(self, kind: TowerKind) -> _native.Plan | PlacedPlan:
        """The plan of a tower, wherever it runs; raises like `tower`."""
        self.tower(kind)
        return self._plans[kind]

    def texts(self, sequences: Sequence[list[int]], *, normalize: bool) -> NDArray[np.float32]:
        """Vectors of texts, [texts, columns].

        Raises:
            TokenizerError: a text has no tokens, not even one that ends it.
        """
        batch = pack([cut_at_end(ids) for ids in sequences])
        packed = self.plan("text").run(batch.token_ids, batch.offsets, self.threads, normalize, _MICRO_ROWS)
        result = np.empty_like(packed)
        result[batch.order] = packed
        return result

    def pixels(self, source: ImageSource) -> NDArray[np.float32]:
        """What the tower of images reads of an image, [3, size, size].

        Raises:
            InvalidArgumentError: it cannot be read, or there is no such tower.
        """
        stem = cast("ImageStem", self.tower("image").stem)
        return prepare_image(open_image(source), stem.resize, stem.size, stem.mean, stem.deviation)

    def images(self, pixels: Sequence[NDArray[np.float32]], *, normalize: bool) -> NDArray[np.float32]:
        """Vectors of prepared images, [images, columns]."""
        offsets = np.arange(len(pixels) + 1, dtype=np.int32) * self.tower("image").rows
        rows = self.image_rows(pixels)
        return self.plan("image").run_rows(rows, self.threads, offsets, normalize, _MICRO_ROWS)

    def image_rows(self, pixels: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Rows that the tower of images reads, those of all images."""
        patch = cast("ImageStem", self.tower("image").stem).patch
        return np.concatenate([patches_of(one, patch) for one in pixels])

    def windows(self, samples: NDArray[np.float32], margin: float) -> list[Window]:
        """The pieces in which the tower of sound reads a sound, in order."""
        return windows_of(samples, self.tower("sound").rows, margin)

    def sound_states(self, windows: Sequence[Window]) -> list[NDArray[np.float32]]:
        """What the tower of sound makes of each piece, [rows, columns]; its last rows are margin."""
        rows, offsets = self.sound_rows(windows)
        states = self.plan("sound").run_rows(rows, self.threads, offsets, micro_tokens=_MICRO_ROWS)
        return np.split(states, offsets[1:-1])

    def sound_rows(self, windows: Sequence[Window]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Rows that the tower of sound reads, of all pieces, and where each begins and the last ends."""
        bands = cast("SoundStem", self.tower("sound").stem).mels
        frames = [frames_of(log_mel(one.samples, bands, 2 * one.rows, one.longest)) for one in windows]
        offsets = np.zeros(len(windows) + 1, dtype=np.int32)
        np.cumsum([one.rows for one in windows], out=offsets[1:])
        return np.concatenate(frames), offsets

    def sounds(self, given: Sequence[NDArray[np.float32]], margin: float) -> NDArray[np.float32]:
        """The mean of what the tower makes of each 20 ms of a sound, [sounds, columns]."""
        sums = np.zeros((len(given), self.tower("sound").columns))
        rows = np.zeros(len(given))
        pieces = (
            (place, one) for place, samples in enumerate(given) for one in self.windows(samples, margin)
        )
        for part in _parts(pieces):  # a long sound, or many, need no more memory than some windows
            found = self.sound_states([window for _, window in part])
            for (place, window), states in zip(part, found, strict=True):
                sums[place] += states[: window.heard].sum(axis=0, dtype=np.float64)
                rows[place] += window.heard
        means: NDArray[np.float32] = (sums / rows[:, None]).astype(np.float32)
        return means


def _parts(pieces: Iterable[tuple[int, Window]]) -> Iterator[list[tuple[int, Window]]]:
    """Windows of about `_SOUND_ROWS` rows together."""
    part: list[tuple[int, Window]] = []
    for piece in pieces:
        if part and sum(window.rows for _, window in part) + piece[1].rows > _SOUND_ROWS:
            yield part
            part = []
        part.append(piece)
    if part:
        yield part
