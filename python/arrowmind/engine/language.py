"""A language model: token ids to hidden states to logits."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind import _native
from arrowmind.engine.batching import pack
from arrowmind.engine.bodies import make_body
from arrowmind.engine.decoder_compiler import compile_body, compile_head
from arrowmind.engine.later import Later
from arrowmind.engine.layers import Options, check_head
from arrowmind.engine.peaks import RowPeaks, peaks_of
from arrowmind.engine.row_candidates import CandidatesWanted, RowCandidates, candidates_of
from arrowmind.engine.staying import rows_there
from arrowmind.errors import DeviceError, InvalidArgumentError
from arrowmind.observe import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from arrowmind.engine.bodies import MakeCache, Split
    from arrowmind.engine.cache_settings import CacheSettings
    from arrowmind.engine.decoder_compiler import Part
    from arrowmind.engine.device_array import DeviceArray
    from arrowmind.engine.on_device import DeviceHost
    from arrowmind.engine.placed_cache import PlacedCache
    from arrowmind.engine.placed_plan import PlacedPlan
    from arrowmind.engine.residence import Residence
    from arrowmind.models.decoder_spec import DecoderSpec
    from arrowmind.weights import WeightSource

__all__ = ["LanguageModel"]

# Floats of logits made at a time, about: bounds memory where only figures of them are wanted.
_LOGITS = 1 << 24


class LanguageModel:
    """A decoder, compiled. Results do not depend on batch composition or thread count."""

    def __init__(
        self,
        model: DecoderSpec,
        weights: WeightSource,
        max_tokens: int,
        threads: _native.ThreadPool,
        options: Options | None = None,
        residence: Residence | None = None,
        host: DeviceHost | None = None,
        split: Split | None = None,
    ) -> None:
        """Compiles `model` over `weights`.

        Args:
            model: What to compute.
            weights: The tensors it names.
            max_tokens: Longest sequence.
            threads: To run on.
            options: Of the compiler.
            residence: Of matrices that come and go; `weights` are then its own.
            host: Of the device that it runs on; None for the CPU.
            split: What of it is on the device; None is all of it.

        Raises:
            InvalidArgumentError: The model has fewer blocks than are to be on the device.
            WeightError: A tensor is missing or has another shape than the model needs.
            DeviceError: It cannot run on the device, and the host does not fall back.
        """
        self.model, self.max_tokens = model, max_tokens
        self._threads = threads
        self._options, self._weights = options or Options(), weights

        head: Later[_native.Plan] = Later(lambda: compile_head(model, weights))
        defers = residence is not None and host is None
        if not defers:  # first, as its table comes first in the file: packed while those behind it are read
            head.get()

        def compile_part(part: Part | None) -> _native.Plan:
            return compile_body(model, weights, max_tokens, self._options, residence=residence, part=part)

        self._body = make_body(compile_part, len(model.blocks), threads, host, split)
        self._later_head: Later[_native.Plan] | Later[PlacedPlan] = head
        if host is not None and (split is None or split.head):
            self._later_head = Later(lambda: host.place(head.get()))
        self._is_head_here = True
        if defers:  # what is wrong with it is told now
            check_head(weights.tensor(model.head.weight), (model.vocabulary, model.hidden))
        else:
            self._is_head_here = isinstance(self._later_head.get(), _native.Plan)
        self._options = self._options._replace(progress=no_progress)  # who watched may go
        self.residence = residence

    def prepare_head(self) -> None:
        """Has a thread pack a head that is not yet, as that of a model whose matrices come and go.

        The first forward waits for the disk meanwhile, and needs the head last.
        """
        self._later_head.begin()

    @property
    def _head(self) -> _native.Plan | PlacedPlan:
        return self._later_head.get()

    def kernels(self) -> list[str]:
        """Names of the kernels that it runs."""
        return list(dict.fromkeys(self._body.kernels() + self._head.kernels()))

    @property
    def scratch_bytes_per_token(self) -> int:
        """Memory of a forward beside weights and results."""
        return self._body.scratch_bytes_per_token

    def check(self, ids: Sequence[int]) -> None:
        """Raises InvalidArgumentError unless `ids` are 1 to `max_tokens` tokens of the vocabulary."""
        if not 1 <= len(ids) <= self.max_tokens:
            raise InvalidArgumentError(
                f"{len(ids)} tokens; the model reads 1 to {self.max_tokens}: cut the text into windows"
            )
        for place, token in enumerate(ids):
            if not 0 <= token < self.model.vocabulary:
                raise InvalidArgumentError(
                    f"token id {token} at place {place} is outside the vocabulary of {self.model.vocabulary}"
                )

    def states(self, sequences: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        """What the last block leaves of each sequence, float32 [tokens, hidden]."""
        batch = pack(sequences)
        rows = self._body.run(batch.token_ids, batch.offsets, self._threads)
        found: list[Any] = [None] * len(sequences)
        for place, begin, end in zip(batch.order, batch.offsets, batch.offsets[1:], strict=False):
            found[place] = rows[begin:end]
        return found

    def place_cache(self, make: MakeCache, settings: CacheSettings) -> _native.KvCache | PlacedCache:
        """A cache whose pages lie where their blocks run; `make` gives the pages of some blocks."""
        return self._body.cache(make, self._threads, settings)

    def rows_at_once(self, rows: int) -> int:
        """The most rows of a forward over such a cache now, where the CPU reads `rows` at once."""
        return self._body.rows_at_once(rows)

    def pass_over_device(self, reason: str) -> None:
        """Tells that a cache stays on the CPU though the model runs on a device.

        Raises:
            DeviceError: That is not wanted.
        """
        self._body.pass_over(reason)

    def run_cached(
        self,
        cache: _native.KvCache | PlacedCache,
        sequences: Sequence[int],
        tokens: Sequence[NDArray[np.int32]],
    ) -> list[NDArray[np.float32]]:
        """Appends tokens to sequences of a cache made for this model.

        Returns:
            What the last block leaves of each, float32 [tokens, hidden].

        Raises:
            CacheFullError: there are too few pages.
        """
        ids, offsets = _packed(tokens)
        if isinstance(cache, _native.KvCache):
            rows = self._body.on_host.run_cached(cache, list(sequences), ids, offsets, self._threads)
        else:
            rows = cache.run(list(sequences), ids, offsets)
        return [rows[begin:end] for begin, end in pairwise(offsets.tolist())]

    @property
    def can_step(self) -> bool:
        """Whether `step` may be called: the head is made, and on the CPU."""
        return self._later_head.is_made and isinstance(self._head, _native.Plan)

    def step(
        self,
        cache: _native.KvCache,
        sequences: Sequence[int],
        tokens: Sequence[NDArray[np.int32]],
        counts: Sequence[int],
    ) -> NDArray[np.float32]:
        """As `run_cached` on the CPU, and the logits of the last `counts` tokens of each.

        Returns:
            float32 [rows, vocabulary].

        Raises:
            CacheFullError: there are too few pages.
            DeviceError: the head is on a device.
        """
        head = self._head
        if not isinstance(head, _native.Plan):
            raise DeviceError("the head is on a device; ask `can_step` first")
        ids, offsets = _packed(tokens)
        body = self._body.on_host
        return body.run_step(cache, list(sequences), ids, offsets, list(counts), head, self._threads)

    def logits(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits of rows of `states`, float32 [rows, vocabulary]."""
        return self._head.run_rows(np.ascontiguousarray(states), self._threads)

    @property
    def gives_peaks(self) -> bool:
        """Whether the head is on a device, so that `peaks` takes less than `logits`."""
        return not self._is_head_here

    def peaks(self, states: NDArray[np.float32]) -> RowPeaks:
        """Of each row of logits the highest; they stay where the head runs."""
        rows = np.ascontiguousarray(states)
        if isinstance(self._head, _native.Plan):
            return peaks_of(self.logits(rows))
        return self._head.run_peaks(rows, self._threads)

    def candidates(self, states: NDArray[np.float32], wanted: CandidatesWanted) -> RowCandidates:
        """Of each row of logits what is wanted of it; the others stay where the head runs."""
        rows = np.ascontiguousarray(states)
        if isinstance(self._head, _native.Plan):
            return candidates_of(self.logits(rows), wanted)
        return self._head.run_candidates(rows, wanted, self._threads)

    def logits_there(self, states: NDArray[np.float32]) -> DeviceArray:
        """The same where the head runs: of a model whose head is on a device, they stay there."""
        rows = np.ascontiguousarray(states)
        return rows_there(self._head, rows, lambda: self.logits(rows))

    def logits_in_parts(self, states: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """The same, some rows at a time, so that a large vocabulary fits into memory."""
        step = max(1, _LOGITS // self.model.vocabulary)
        for begin in range(0, len(states), step):
            part = slice(begin, min(begin + step, len(states)))
            yield part, self.logits(states[part])


def _packed(tokens: Sequence[NDArray[np.int32]]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """All ids, and the offsets of each sequence in them."""
    ends = accumulate(len(ids) for ids in tokens)
    ids = tokens[0] if len(tokens) == 1 else np.concatenate(tokens)
    return ids, np.array([0, *ends], dtype=np.int32)
