"""Decoding with a cache of keys and values: many sequences, one forward."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from arrowmind import _native
from arrowmind.engine import row_candidates
from arrowmind.engine.cache_settings import PAGEWISE_FORMATS
from arrowmind.engine.feeds import Feed, forwards, rows_of
from arrowmind.engine.peaks import RowPeaks, peaks_of
from arrowmind.errors import InvalidArgumentError
from arrowmind.generate import Candidates
from arrowmind.models.decoder_spec import LatentAttention
from arrowmind.observe import record_fallback

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from arrowmind.engine.cache_settings import CacheSettings
    from arrowmind.engine.language import LanguageModel
    from arrowmind.engine.placed_cache import PlacedCache
    from arrowmind.generate import CandidateNeed
    from arrowmind.models.decoder_spec import DecoderAttention

__all__ = ["CachedDecoder"]

_Given = TypeVar("_Given")


class CachedDecoder:
    """One model, many sequences, one pool of pages.

    The bits of logits depend on their sequence alone: they are the same whatever is batched with it, however
    it was cut into calls, and for any number of threads. Calls from several threads are served one by one.
    """

    def __init__(
        self, language_model: LanguageModel, settings: CacheSettings, *, on_device: bool = True
    ) -> None:
        """Makes a pool for the model; memory is taken when sequences grow.

        Args:
            language_model: The model.
            settings: Of the pool.
            on_device: False keeps pages and forwards on the CPU, whatever the model runs on: for who moves
                pages.

        Raises:
            InvalidArgumentError: sizes are out of range.
            DeviceError: pages have to stay on the CPU, and `device.fallback` is `error`.
        """
        self.vocabulary: int = language_model.model.vocabulary
        self.window: int = language_model.max_tokens
        self.settings = settings
        self._language = language_model
        most = self.window if settings.max_tokens is None else settings.max_tokens
        attentions = [block.attention for block in language_model.model.blocks]

        def make(blocks: range) -> _native.KvCache:
            return _native.KvCache(
                _layers([attentions[block] for block in blocks]),
                settings.format,
                settings.page_tokens,
                most,
                settings.sinks,
                settings.recent,
                settings.prefill_chunk,
            )

        self._cache: _native.KvCache | PlacedCache
        if on_device:
            self._cache = language_model.place_cache(make, settings)
        else:
            self._cache = make(range(len(attentions)))
            language_model.pass_over_device("caches whose pages are moved lie on the host")
        self._is_placed = not isinstance(self._cache, _native.KvCache)
        self._rotations = [_rotation(attention) for attention in attentions]
        self._lock = threading.Lock()

    @property
    def rows_at_once(self) -> int:
        """The most tokens of one forward now: a device may read more at once than the CPU, or fewer."""
        rows = self.settings.prefill_chunk
        if not self._is_placed:
            return rows
        there = self._language.rows_at_once(rows)
        # Where pages become small, there is room in full for so many as the CPU reads at once.
        return min(rows, there) if self.settings.format in PAGEWISE_FORMATS else there

    def step_tokens(self, tokens: int) -> int:
        """Tokens of prompts to read at a time where the CPU is to read `tokens`: as many as fill a device."""
        rows = self.rows_at_once
        return max(tokens, rows) if rows > self.settings.prefill_chunk else tokens

    def start(self, shift: int = 0) -> int:
        """A new sequence without tokens, whose first is to stand at position `shift`; its handle."""
        with self._lock:
            return self._cache.start(shift)

    def append(self, feeds: Sequence[tuple[int, Sequence[int], int]]) -> list[NDArray[np.float32]]:
        """Appends tokens to sequences, all in one forward, or several where they are many.

        Args:
            feeds: for each sequence its handle, its tokens (at least one), and after how many of the last of
                them logits are wanted.

        Returns:
            For each feed float32 [rows, vocabulary].

        Raises:
            InvalidArgumentError: a handle is not open or stands there twice, tokens are no ids of the
                vocabulary, or a sequence would outgrow the window; nothing was appended.
            CacheFullError: the pool has too few pages; nothing was appended.
        """
        checked = self._checked(feeds)
        logits = self._step(checked)
        if logits is None:
            states = self._states(checked)
            none = np.zeros((0, self.vocabulary), np.float32)
            logits = none if states is None else self._language.logits(states)
        return [logits[begin:end] for begin, end in rows_of(checked)]

    @property
    def gives_peaks(self) -> bool:
        """Whether logits are on a device, and `append_peaks` leaves them there."""
        return self._language.gives_peaks

    def append_peaks(self, feeds: Sequence[tuple[int, Sequence[int], int]]) -> list[RowPeaks]:
        """As `append`, of each row the highest logit."""
        checked = self._checked(feeds)
        states = self._states(checked)
        peaks = peaks_of(np.zeros((0, 1), np.float32)) if states is None else self._language.peaks(states)
        return [peaks.rows(begin, end) for begin, end in rows_of(checked)]

    def append_candidates(
        self, feeds: Sequence[tuple[int, Sequence[int], int]], needs: Sequence[CandidateNeed | None]
    ) -> list[Candidates | NDArray[np.float32]]:
        """As `append`, of each row what its feed needs; None: the row. One asked for later is run again."""
        checked = self._checked(feeds)
        states, counts = self._states(checked), [feed.rows for feed in checked]
        if states is None:
            return [Candidates(()) for _ in counts]
        there = states
        wanted = row_candidates.wanted_of(needs, counts, self.vocabulary)

        def row_of(row: int) -> NDArray[np.float32]:
            record_fallback("sampling", "the highest logits do not decide", used="the row")
            (logits,) = self._language.logits(there[row : row + 1])
            return np.asarray(logits, np.float32)

        return row_candidates.told(self._language.candidates(there, wanted), needs, counts, row_of)

    def _step(self, feeds: list[Feed]) -> NDArray[np.float32] | None:
        """Logits of the wanted rows, if one forward on the CPU gives them; else None, and nothing is done."""
        cache, handles = self._cache, [feed.handle for feed in feeds]
        tokens, counts = [feed.tokens for feed in feeds], [feed.rows for feed in feeds]
        is_one = 0 < sum(map(len, tokens)) <= self.rows_at_once
        if not (is_one and isinstance(cache, _native.KvCache) and self._language.can_step):
            return None
        return self._grown(feeds, lambda: self._language.step(cache, handles, tokens, counts))

    def _states(self, feeds: list[Feed]) -> NDArray[np.float32] | None:
        """Hidden states of the wanted rows; None where there are none."""
        states = self._grown(feeds, lambda: self._run(feeds))
        parts = [part for feed in states for part in feed]
        return np.concatenate(parts) if parts else None

    def _grown(self, feeds: list[Feed], run: Callable[[], _Given]) -> _Given:
        """What `run` gives, which appends the tokens to pages that are there; all or nothing is appended."""
        with self._lock:
            before = [self._room(feed) for feed in feeds]
            try:
                self._cache.reserve([(feed.handle, len(feed.tokens)) for feed in feeds])
                return run()
            except BaseException:
                for feed, length in zip(feeds, before, strict=True):
                    self._cache.forget(feed.handle, self._cache.length(feed.handle) - length)
                raise

    def forget(self, handle: int, count: int) -> None:
        """Drops the last `count` tokens of a sequence.

        Raises:
            InvalidArgumentError: it has fewer, or the handle is not open.
        """
        with self._lock:
            self._cache.forget(handle, count)

    def fork(self, handle: int, tokens: int) -> int:
        """A new sequence of the first `tokens` tokens of another, whose pages it shares; its handle.

        Raises:
            InvalidArgumentError: there are fewer tokens, or the handle is not open.
        """
        with self._lock:
            return self._cache.fork(handle, tokens)

    def close(self, handle: int) -> None:
        """Ends a sequence; pages that no other has become free.

        Raises:
            InvalidArgumentError: the handle is not open.
        """
        with self._lock:
            self._cache.close(handle)

    def length(self, handle: int) -> int:
        """Tokens of a sequence.

        Raises:
            InvalidArgumentError: the handle is not open.
        """
        with self._lock:
            return self._cache.length(handle)

    def shift(self, handle: int) -> int:
        """Position of the first token of a sequence: above 0 where pages were taken out.

        Raises:
            InvalidArgumentError: the handle is not open.
        """
        with self._lock:
            return self._cache.shift(handle)

    @property
    def page_bytes(self) -> int:
        """Bytes of a page of all layers."""
        return self._cache.page_bytes

    def copy_pages(self, handle: int, first: int, count: int) -> NDArray[np.uint8]:
        """Whole pages of a sequence, uint8 [count, page_bytes].

        Raises:
            InvalidArgumentError: it has fewer, or the cache holds codes.
        """
        pages = np.empty((count, self._cache.page_bytes), np.uint8)
        with self._lock:
            self._cache.copy_pages(handle, first, pages)
        return pages

    def splice(self, handle: int, first: int, count: int, pages: NDArray[np.uint8]) -> None:
        """Puts `pages` in the place of `count` pages of a sequence.

        What is behind them keeps its positions; what is before, and the new pages, stand directly before it.

        Raises:
            InvalidArgumentError: the sequence has fewer pages, or fewer positions were taken out before.
            CacheFullError: there is no room for them beside the old ones; nothing has changed.
        """
        with self._lock:
            self._cache.splice(handle, first, count, pages)

    def turn(self, pages: NDArray[np.uint8], distance: int) -> NDArray[np.uint8]:
        """Copies of pages, their keys moved by `distance` positions."""
        turned: NDArray[np.uint8] = pages.copy()
        if distance:
            self._cache.turn(turned, distance, self._rotations)
        return turned

    def encode_pages(self, pages: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
        """Copied pages in another format of `CacheSettings`."""
        return self._cache.encode(pages, name)

    def decode_pages(self, codes: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
        """Back to pages of this cache."""
        return self._cache.decode(codes, name)

    def encoded_bytes(self, name: str) -> int:
        """Bytes of a page in another format."""
        return self._cache.encoded_bytes(name)

    @property
    def layers(self) -> int:
        """Layers of attention."""
        return len(self._rotations)

    def key_columns(self, layer: int) -> int:
        """Columns of the keys of a layer."""
        return self._cache.key_columns(layer)

    def plain_keys(self, pages: NDArray[np.uint8], layer: int, position: int) -> NDArray[np.float32]:
        """Keys of copied pages whose first token stands at `position`, each turned back to position 0.

        Returns:
            float32 [tokens, key_columns].
        """
        columns, (first, interleaved, frequencies) = self.key_columns(layer), self._rotations[layer]
        keys = np.empty((len(pages) * self.settings.page_tokens, columns), np.float32)
        self._cache.read_keys(pages, layer, keys)
        size = self._language.model.blocks[layer].attention.head_dim
        heads = keys.reshape(len(keys), -1, size)
        places = first + np.arange(2 * len(frequencies))
        low, high = (places[0::2], places[1::2]) if interleaved else np.split(places, 2)
        angles = np.outer(position + np.arange(len(keys)), frequencies.astype(np.float64))
        cosines = np.cos(angles).astype(np.float32)[:, np.newaxis]
        sines = np.sin(angles).astype(np.float32)[:, np.newaxis]
        one, other = heads[:, :, low], heads[:, :, high]
        heads[:, :, low], heads[:, :, high] = one * cosines + other * sines, other * cosines - one * sines
        return keys

    @property
    def free_tokens(self) -> int:
        """Tokens that fit into the pages nobody has."""
        with self._lock:
            return self._cache.free_tokens

    @property
    def cache_bytes(self) -> int:
        """Memory of the pages, of those that are free again too."""
        with self._lock:
            return self._cache.held_bytes

    def trim(self) -> None:
        """Gives the memory of free pages back to the system."""
        with self._lock:
            self._cache.trim()

    def _checked(self, feeds: Sequence[tuple[int, Sequence[int], int]]) -> list[Feed]:
        return [self._check(*feed) for feed in feeds]

    def _check(self, handle: int, tokens: Sequence[int], rows: int) -> Feed:
        self._language.check(tokens)
        if not 0 <= rows <= len(tokens):
            raise InvalidArgumentError(f"logits after {rows} of {len(tokens)} new tokens; ask for 0 to all")
        return Feed(handle, np.asarray(tokens, dtype=np.int32), rows)

    def _room(self, feed: Feed) -> int:
        """Length of the sequence; an error where it would outgrow the window."""
        length = self._cache.length(feed.handle)
        if length + len(feed.tokens) > self.window:
            raise InvalidArgumentError(
                f"{length} tokens and {len(feed.tokens)} more exceed the window of {self.window}: "
                "shorten the prompt, or forget"
            )
        return length

    def _run(self, feeds: list[Feed]) -> list[list[NDArray[np.float32]]]:
        """Hidden states of the wanted rows of each feed, in parts."""
        found: list[list[NDArray[np.float32]]] = [[] for _ in feeds]
        for pieces in forwards(feeds, self.rows_at_once):
            parts = [feeds[piece.feed].tokens[piece.begin : piece.end] for piece in pieces]
            handles = [feeds[piece.feed].handle for piece in pieces]
            rows = self._language.run_cached(self._cache, handles, parts)
            for piece, states in zip(pieces, rows, strict=True):
                feed = feeds[piece.feed]
                wanted = len(feed.tokens) - feed.rows - piece.begin
                if wanted < piece.end - piece.begin:
                    # A copy: the states of the whole forward need not stay.
                    found[piece.feed].append(states[max(0, wanted) :].copy())
        return found


def _layers(attentions: Sequence[DecoderAttention | LatentAttention]) -> list[tuple[int, int, int]]:
    """Group, heads of keys and head size of each layer; layers with one window are a group."""
    windows = list(dict.fromkeys(attention.window for attention in attentions))
    return [(windows.index(one.window), one.key_heads, one.head_dim) for one in attentions]


def _rotation(attention: DecoderAttention | LatentAttention) -> tuple[int, bool, NDArray[np.float32]]:
    """Which elements of a head turn, whether neighbours against each other, and how fast."""
    frequencies = np.asarray(attention.rope.frequencies, dtype=np.float32)
    if isinstance(attention, LatentAttention):
        return attention.rank, attention.interleaved, frequencies
    return 0, False, frequencies
