"""The part of the engine that embeds texts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from arrowmind.engine.inputs import check_texts
from arrowmind.errors import InvalidArgumentError
from arrowmind.observe import metrics, progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from arrowmind import _native
    from arrowmind.engine.device_array import DeviceArray
    from arrowmind.engine.placed_plan import PlacedPlan
    from arrowmind.engine.senses import Senses
    from arrowmind.engine.tokenizer import TextTokenizer

__all__ = ["MICRO_TOKENS", "EmbedsText"]

# Texts tokenised ahead while the previous ones are computed.
_SLICE_TEXTS = 512
MICRO_TOKENS = 128
"""Tokens of a micro-batch: enough rows to reuse each weight panel, few enough that the buffers stay in L2."""


class EmbedsText:
    """Methods of an engine over an encoder, or over a tower of texts."""

    _tokenizer: TextTokenizer
    _threads: _native.ThreadPool
    _senses: Senses | None

    def __init__(self) -> None:
        """There is no plan yet."""
        self._plan: _native.Plan | PlacedPlan | None = None

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        raise NotImplementedError

    @property
    def _encoder(self) -> _native.Plan | PlacedPlan:
        """The plan of an encoder; asking another model for it is an error that says so."""
        raise NotImplementedError

    def encode(
        self,
        texts: str | Sequence[str],
        normalize: bool = True,  # noqa: FBT001 - the documented signature
        batch_size: int | None = None,
        show_progress: bool = False,  # noqa: FBT001 - the documented signature
    ) -> NDArray[np.float32]:
        """Embeddings of texts.

        Args:
            texts: One string, or a list of strings. An empty string is a text without words, not an error.
            normalize: Scale each embedding to length 1.
            batch_size: Most texts tokenised at a time; None chooses. Bounds memory, never changes results.
            show_progress: Draw a progress bar on standard error.

        Returns:
            float32 [n, dimension]; one string gives n = 1.

        Raises:
            InvalidArgumentError: `texts` is not a string or list of strings, or `batch_size` is below 1.
        """
        import numpy as np  # noqa: PLC0415  weights are read before

        listed = self._check_encoding(texts, batch_size)
        result = np.empty((len(listed), self.dimension), dtype=np.float32)
        started = time.perf_counter()
        with progress_bar(enabled=show_progress) as progress:
            for part, sequences in self._tokenised(listed, batch_size or _SLICE_TEXTS):
                result[part] = self._forward(sequences, normalize=normalize)
                progress(part.stop, len(listed), "encoding")
        metrics.encode_seconds.observe(time.perf_counter() - started)
        return result

    def encode_on_device(
        self,
        texts: str | Sequence[str],
        normalize: bool = True,  # noqa: FBT001 - as of encode()
        batch_size: int | None = None,
    ) -> DeviceArray:
        """Embeddings of texts, which stay where they were computed.

        Torch, CuPy, NumPy and others read them there by DLPack, pyarrow by the Arrow C Device interface.
        Where the device fails, the CPU computes all of them, and they lie in memory of the host: `device` of
        the result says so.

        Args:
            texts: As of `encode`.
            normalize: As of `encode`.
            batch_size: As of `encode`.

        Returns:
            float32 [n, dimension].

        Raises:
            InvalidArgumentError: As of `encode`.
        """
        from arrowmind.engine.staying import vectors_there  # noqa: PLC0415  needed by few

        listed = self._check_encoding(texts, batch_size)
        return vectors_there(
            self._plan if self._senses is None else self._senses.plan("text"),
            len(listed),
            lambda: self._cut(self._tokenised(listed, batch_size or _SLICE_TEXTS)),
            lambda: self.encode(listed, normalize, batch_size),
            normalise=normalize,
        )

    def _check_encoding(self, texts: str | Sequence[str], batch_size: int | None) -> list[str]:
        listed = check_texts(texts)
        _ = self._encoder if self._senses is None else self._senses.plan("text")
        if batch_size is not None and batch_size < 1:
            raise InvalidArgumentError(
                f"batch_size={batch_size}; use 1 or more, or None to let the engine choose"
            )
        return listed

    def _tokenised(self, texts: list[str], most: int) -> Iterator[tuple[slice, list[list[int]]]]:
        """Slices of `texts` with their token ids, the next slice tokenised while the caller computes."""
        from arrowmind.engine.batching import slices  # noqa: PLC0415  weights are read before

        parts = list(slices(texts, most))
        if len(parts) < 2:
            for part in parts:
                yield part, self._tokenizer.encode(texts[part])
            return
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  not needed for the first text

        with ThreadPoolExecutor(1, "arrowmind-tokenise") as ahead:
            pending = ahead.submit(self._tokenizer.encode, texts[parts[0]])
            for part, following in zip(parts, [*parts[1:], None], strict=True):
                sequences = pending.result()
                if following is not None:
                    pending = ahead.submit(self._tokenizer.encode, texts[following])
                yield part, sequences

    def _cut(self, parts: Iterator[tuple[slice, list[list[int]]]]) -> Iterator[tuple[slice, list[list[int]]]]:
        """As the plan reads them."""
        if self._senses is None:
            return parts
        from arrowmind.engine.senses import cut_at_end  # noqa: PLC0415  an encoder of text starts faster without

        return ((part, [cut_at_end(ids) for ids in sequences]) for part, sequences in parts)

    def _forward(self, sequences: list[list[int]], *, normalize: bool) -> NDArray[np.float32]:
        import numpy as np  # noqa: PLC0415  weights are read before

        from arrowmind.engine.batching import pack  # noqa: PLC0415  weights are read before

        metrics.sentences.add(len(sequences))
        metrics.tokens.add(sum(map(len, sequences)))
        if self._senses is not None:
            return self._senses.texts(sequences, normalize=normalize)
        batch = pack(sequences)
        packed = self._encoder.run(batch.token_ids, batch.offsets, self._threads, normalize, MICRO_TOKENS)
        result = np.empty_like(packed)
        result[batch.order] = packed
        return result
