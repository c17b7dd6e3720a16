"""The engine: a model folder that turns text into vectors."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind import _native
from arrowmind.config import default_config
from arrowmind.engine.admission import admit
from arrowmind.engine.batching import pack, slices
from arrowmind.engine.compiler import compile_plan
from arrowmind.engine.device import resolve_device
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.tokenizer import TextTokenizer, check_texts
from arrowmind.errors import InvalidArgumentError
from arrowmind.observe import get_logger, metrics, progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from arrowmind.config import Config

__all__ = ["ArrowEngine"]

_log = get_logger("arrowmind.engine")
# Texts tokenised ahead while the previous ones are computed.
_SLICE_TEXTS = 512
# Tokens of a micro-batch: enough rows to reuse each weight panel, few enough that the buffers stay in L2.
_MICRO_TOKENS = 128


class ArrowEngine:
    """A model folder, memory-mapped, that encodes text.

    Opening maps the weights and reads those it multiplies by. `encode` may be called from several threads at
    once; results do not depend on batch composition or thread count.

    Example:
        >>> engine = ArrowEngine("models/minilm-int8")  # doctest: +SKIP
        >>> engine.encode(["A cat sits.", "Ein Hund."]).shape  # doctest: +SKIP
        (2, 384)
    """

    def __init__(
        self,
        path: str | Path | None = None,
        device: str | None = None,
        optimize: bool = True,  # noqa: FBT001 - the documented signature
        threads: int | None = None,
        *,
        config: Config | None = None,
        judge: bool = True,
    ) -> None:
        """Opens a model folder made by `arrowmind convert` or `arrowmind quantize`.

        What is not given is taken from the configuration: environment, then file, then default.

        Args:
            path: Folder with weights.arrow (or weights.parquet), config.json and tokenizer.json; None takes
                `model.path`.
            device: `auto`, `cpu`, or another device of the list in `arrowmind doctor`; None takes
                `device.name`.
            optimize: False keeps activations in float32: slower, and more exact.
            threads: Threads per call; None takes `device.threads`, by default every processor this process
                may use.
            config: The configuration; None reads the one that applies (`load_config`).
            judge: False opens the model whatever its precision report says, as who measures it must.

        Raises:
            WeightError: A file is missing, damaged, or does not fit the configuration.
            DeviceError: The device is unknown, or cannot be had and `device.fallback` is `error`.
            PrecisionError: Its precision report is below a threshold, and `precision.below` is `refuse`.
            ConfigurationError: The configuration cannot be read.
        """
        started = time.perf_counter()
        config = default_config(config)
        self.device = resolve_device(
            config.device.name if device is None else device, fallback=config.device.fallback == "cpu"
        )
        self._optimize = optimize
        self._folder = ModelFolder(Path(config.model.path).expanduser() if path is None else Path(path))
        if judge:
            admit(self._folder.weights, config)
        self._threads = _native.ThreadPool(_thread_count(config) if threads is None else threads)
        self._tokenizer = TextTokenizer(self._folder.tokenizer_path, self._folder.max_tokens)
        self._plan = compile_plan(
            self._folder.model, self._folder.weights, self._folder.max_tokens, quantise=optimize
        )
        self._load_seconds = time.perf_counter() - started
        _log.info(
            "model opened",
            path=str(self._folder.path),
            kernels=self._plan.kernels(),
            seconds=round(self._load_seconds, 4),
        )

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return self._folder.model.hidden

    @property
    def max_tokens(self) -> int:
        """Longest input in tokens, special tokens included; what is beyond is cut."""
        return self._folder.max_tokens

    @property
    def fingerprint(self) -> str:
        """Identifies the weights and how they are pooled: equal fingerprints give equal vectors."""
        return self._folder.fingerprint

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
        listed = check_texts(texts)
        if batch_size is not None and batch_size < 1:
            raise InvalidArgumentError(
                f"batch_size={batch_size}; use 1 or more, or None to let the engine choose"
            )
        result = np.empty((len(listed), self.dimension), dtype=np.float32)
        started = time.perf_counter()
        with progress_bar(enabled=show_progress) as progress:
            for part, sequences in self._tokenised(listed, batch_size or _SLICE_TEXTS):
                result[part] = self._forward(sequences, normalize=normalize)
                progress(part.stop, len(listed), "encoding")
        metrics.encode_seconds.observe(time.perf_counter() - started)
        return result

    def count_tokens(self, texts: str | Sequence[str]) -> list[int]:
        """Tokens of each text as the model reads it: special tokens included, cut at `max_tokens`."""
        return [len(ids) for ids in self._tokenizer.encode(check_texts(texts))]

    def windows(self, text: str, max_tokens: int = 256) -> list[str]:
        """`text` cut into consecutive pieces of at most `max_tokens` tokens, special tokens included."""
        return self._tokenizer.windows(check_texts(text)[0], max_tokens)

    def info(self) -> dict[str, Any]:
        """What is loaded and how it runs: model, weights, device, threads, kernels, memory."""
        return {
            **self._folder.describe(),
            "device": self.device,
            "optimize": self._optimize,
            "threads": self._threads.threads,
            "kernels": self._plan.kernels(),
            "scratch_bytes_per_thread": self._plan.scratch_bytes_per_token
            * max(_MICRO_TOKENS, self.max_tokens),
            "load_seconds": self._load_seconds,
        }

    def _tokenised(self, texts: list[str], most: int) -> Iterator[tuple[slice, list[list[int]]]]:
        """Slices of `texts` with their token ids, the next slice tokenised while the caller computes."""
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

    def _forward(self, sequences: list[list[int]], *, normalize: bool) -> NDArray[np.float32]:
        batch = pack(sequences)
        packed = self._plan.run(batch.token_ids, batch.offsets, self._threads, normalize, _MICRO_TOKENS)
        metrics.sentences.add(len(sequences))
        metrics.tokens.add(int(batch.offsets[-1]))
        result = np.empty_like(packed)
        result[batch.order] = packed
        return result


def _thread_count(config: Config) -> int:
    return config.device.threads or _native.available_cpus()
