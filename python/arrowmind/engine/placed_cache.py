"""A cache of keys and values whose pages are on a device while that serves, and on the host when it does not.

Pages that a device still gives come to the host as they are. Those of a device that is lost are written
again: the tokens of every sequence are known here, and are read once more when the sequence goes on.
"""

from __future__ import annotations

import weakref
from array import array
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.engine.front_blocks import FrontBlocks
from arrowmind.engine.row_parts import cut_rows
from arrowmind.errors import CacheFullError, DeviceError, InvalidArgumentError
from arrowmind.observe import get_logger, metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from arrowmind import _native
    from arrowmind.engine.cache_settings import CacheSettings
    from arrowmind.engine.on_device import DeviceHost

    # Of sequences their ids and offsets, and what the blocks before left of them, if it is known.
    Forward = Callable[
        [list[int], NDArray[np.int32], NDArray[np.int32], NDArray[np.float32] | None], NDArray[np.float32]
    ]

__all__ = ["PlacedCache"]

_log = get_logger("arrowmind.engine")
# Tokens of a forward that writes pages again, about.
_PART = 512


class PlacedCache:
    """Used as the native cache is. Not safe from several threads at once: who decodes has a lock."""

    def __init__(
        self,
        cache: _native.KvCache,
        plan: _native.Plan,
        host: DeviceHost,
        threads: _native.ThreadPool,
        settings: CacheSettings,
        front: FrontBlocks | None = None,
    ) -> None:
        """All pages are on the host at first.

        Args:
            cache: The pages.
            plan: Of the forward over them.
            host: Its device.
            threads: For forwards on the CPU.
            settings: Tokens of a page, and how many the CPU reads at once.
            front: The blocks before those of the plan, which run on the CPU; None: it reads token ids.
        """
        self._front = front or FrontBlocks(None, None, threads)
        self._cache, self._plan, self._host, self._threads = cache, plan, host, threads
        self._page_tokens, self._chunk = settings.page_tokens, settings.prefill_chunk
        self._tokens: dict[int, array[int]] = {}
        self._lost: set[int] = set()  # sequences whose pages must be written again
        host.add_cache(weakref.ref(self))

    def run(
        self, sequences: list[int], token_ids: NDArray[np.int32], offsets: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Appends tokens to sequences; float32 [tokens, hidden].

        Raises:
            CacheFullError: There are too few pages.
            DeviceError: The device failed, and the engine does not fall back.
        """
        states = self._front.run(sequences, token_ids, offsets)

        def forward(run: Forward) -> NDArray[np.float32]:
            self._write_again(sequences, run)
            return run(sequences, token_ids, offsets, states)

        try:
            rows = self._placed(forward)
        except BaseException:
            self._front.take_back(sequences, offsets)
            raise
        for sequence, begin, end in zip(sequences, offsets, offsets[1:], strict=False):
            self._tokens[sequence].frombytes(token_ids[begin:end].astype(np.int32).tobytes())
        return rows

    def start(self, shift: int = 0) -> int:
        """A new sequence."""
        made = self._cache.start(shift)
        self._front.start(made, shift)
        self._tokens[made] = array("i")
        return made

    def fork(self, sequence: int, tokens: int) -> int:
        """A new sequence of the first tokens of another."""
        made = self._cache.fork(sequence, tokens)
        self._front.fork(sequence, made, tokens)
        self._tokens[made] = self._tokens[sequence][:tokens]
        if sequence in self._lost and tokens:
            self._lost.add(made)
        return made

    def forget(self, sequence: int, tokens: int) -> None:
        """Drops its last tokens, and what was reserved for it."""
        self._cache.forget(sequence, tokens)
        self._front.forget(sequence, tokens)
        if tokens:
            del self._tokens[sequence][-tokens:]

    def close(self, sequence: int) -> None:
        """Ends a sequence."""
        self._cache.close(sequence)
        self._front.close(sequence)
        del self._tokens[sequence]
        self._lost.discard(sequence)

    def length(self, sequence: int) -> int:
        """Its tokens."""
        return self._cache.length(sequence)

    def shift(self, sequence: int) -> int:
        """Position of its first token."""
        return self._cache.shift(sequence)

    def reserve(self, growth: list[tuple[int, int]]) -> None:
        """Sees to it that what will come cannot run out of pages midway.

        Raises:
            CacheFullError: There are too few.
            DeviceError: The device has no room for them, and the engine does not fall back.
        """
        self._front.reserve(growth)
        try:
            self._cache.reserve(growth)
        except DeviceError as error:
            self._host.failed(error)
            self._leave()
            self._cache.reserve(growth)

    def copy_pages(self, sequence: int, first: int, out: NDArray[np.uint8]) -> None:
        """Copies whole pages of a sequence, those of the blocks before first."""
        before, after = self._front.page_bytes, self._cache.page_bytes
        front, back = (np.empty((len(out), size), np.uint8) for size in (before, after))
        self._front.copy_pages(sequence, first, front)
        self._copy_pages(sequence, first, back)
        out[:, :before], out[:, before:] = front, back

    def _copy_pages(self, sequence: int, first: int, out: NDArray[np.uint8]) -> None:
        if sequence in self._lost:
            self._placed(lambda run: self._write_again([sequence], run))
        try:
            self._cache.copy_pages(sequence, first, out)
        except DeviceError as error:
            self._host.failed(error)
            self._leave()
            self._copy_pages(sequence, first, out)

    def splice(self, sequence: int, first: int, count: int, pages: NDArray[np.uint8]) -> None:
        """Not of sequences that must be known by their tokens.

        Raises:
            InvalidArgumentError: Always.
        """
        raise InvalidArgumentError(
            f"sequence {sequence}: {len(pages)} pages in the place of {count} from {first} on; pages of a "
            "cache that may be on a device are not moved: make it for the host alone"
        )

    def turn(
        self, pages: NDArray[np.uint8], distance: int, layers: list[tuple[int, bool, NDArray[np.float32]]]
    ) -> None:
        """Moves the keys of copied pages."""
        self._unsplit.turn(pages, distance, layers)

    def encode(self, pages: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
        """Copied pages in another format."""
        return self._unsplit.encode(pages, name)

    def decode(self, codes: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
        """Back to pages of this cache."""
        return self._unsplit.decode(codes, name)

    def encoded_bytes(self, name: str) -> int:
        """Bytes of a page in another format."""
        return self._unsplit.encoded_bytes(name)

    def key_columns(self, layer: int) -> int:
        """Columns of the keys of a layer."""
        return self._unsplit.key_columns(layer)

    def read_keys(self, pages: NDArray[np.uint8], layer: int, out: NDArray[np.float32]) -> None:
        """Keys of copied pages."""
        self._unsplit.read_keys(pages, layer, out)

    def trim(self) -> None:
        """Gives the memory of free pages back."""
        self._front.trim()
        self._cache.trim()

    @property
    def page_bytes(self) -> int:
        """Bytes of a page of all layers."""
        return self._front.page_bytes + self._cache.page_bytes

    @property
    def free_tokens(self) -> int:
        """Tokens that fit into the pages nobody has."""
        return self._cache.free_tokens

    @property
    def held_bytes(self) -> int:
        """Memory of the host that the pages take."""
        behind = 0 if self._cache.device_bytes else self._cache.held_bytes
        return self._front.held_bytes + behind

    @property
    def device_bytes(self) -> int:
        """Memory of the device that the pages take."""
        return self._cache.device_bytes

    @property
    def _unsplit(self) -> _native.KvCache:
        """The pages, where they hold all blocks.

        Raises:
            InvalidArgumentError: Some blocks have pages of their own.
        """
        if self._front.page_bytes:
            raise InvalidArgumentError(
                "pages of a cache that lie in two places are not moved: make it for the host alone"
            )
        return self._cache

    def _placed(self, forward: Callable[[Forward], NDArray[np.float32]]) -> NDArray[np.float32]:
        """What `forward` gives on the device, and with all pages on the host where that does not serve."""

        def there(plan: _native.DevicePlan) -> NDArray[np.float32]:
            rows = self._host.most_rows(plan)
            return forward(
                lambda sequences, ids, offsets, states: plan.run_cached(
                    self._cache, sequences, ids if states is None else None, offsets, rows, states
                )
            )

        def here() -> NDArray[np.float32]:
            self._leave()
            return forward(self._run_here)

        return self._host.run(self._plan, there, here)

    def _run_here(
        self,
        sequences: list[int],
        ids: NDArray[np.int32],
        offsets: NDArray[np.int32],
        states: NDArray[np.float32] | None,
    ) -> NDArray[np.float32]:
        """On the CPU, which has memory for fewer rows than a device may be given."""
        found = []
        appended: list[tuple[int, int]] = []
        try:
            for part in cut_rows(offsets, self._chunk):
                own = [sequences[place] for place in part.sequences]
                rows = None if states is None else states[part.rows]
                tokens = ids[part.rows] if states is None else None
                found.append(
                    self._plan.run_cached(self._cache, own, tokens, part.offsets, self._threads, rows=rows)
                )
                appended += zip(own, np.diff(part.offsets).tolist(), strict=True)
        except BaseException:
            for sequence, count in appended:
                self._cache.forget(sequence, count)
            raise
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _leave(self) -> None:
        """Brings all pages to the host; where they are gone, every sequence is to be written again."""
        if self._cache.to_host():
            return
        self._lost = {sequence for sequence, tokens in self._tokens.items() if tokens}
        metrics.lost_sequences.add(len(self._lost), device=self._host.name)
        _log.warning(
            "keys and values went with the device; they are computed again",
            device=self._host.name,
            sequences=len(self._lost),
            tokens=sum(len(self._tokens[sequence]) for sequence in self._lost),
        )

    def _write_again(self, sequences: Sequence[int], run: Forward) -> NDArray[np.float32]:
        """Fills the pages of those that lost them."""
        for sequence in sequences:
            if sequence not in self._lost:
                continue
            page = self._page_tokens
            most = min(_PART, self._host.rows_at_once(self._plan, self._chunk))
            try:
                self._read_again(sequence, run, max(1, most // page) * page)
            except CacheFullError:
                # Of formats whose pages become small, those in full come and go: fewer at a time.
                self._read_again(sequence, run, page)
            self._lost.discard(sequence)
        return np.zeros((0, 0), np.float32)

    def _read_again(self, sequence: int, run: Forward, size: int) -> None:
        """All tokens of a sequence, in parts of whole pages: none that is shared is copied, as all who share
        one write the same to it.
        """
        ids = np.frombuffer(self._tokens[sequence].tobytes(), np.int32)
        length = self._cache.length(sequence)
        self._cache.rewind(sequence, 0)
        try:
            with self._front.rewound(sequence):
                for begin in range(0, len(ids), size):
                    part = ids[begin : begin + size]
                    offsets = np.array([0, len(part)], np.int32)
                    run([sequence], part, offsets, self._front.run([sequence], part, offsets))
        except BaseException:
            self._cache.rewind(sequence, length)
            raise
