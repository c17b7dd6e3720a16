"""The engine: a model folder that turns text, images or sound into vectors, or foretells text."""

from __future__ import annotations

import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind import _native
from arrowmind.config import default_config, with_profile
from arrowmind.config.sizes import parse_bytes
from arrowmind.engine.device import describe_device, resolve_device
from arrowmind.engine.early_reading import read_early
from arrowmind.engine.embedding import MICRO_TOKENS, EmbedsText
from arrowmind.engine.generating import GeneratesText
from arrowmind.engine.inputs import check_ids, check_texts, read_text
from arrowmind.engine.perceiving import Perceives
from arrowmind.errors import InvalidArgumentError
from arrowmind.observe import get_logger, no_progress, progress_bar
from arrowmind.startup import undisturbed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from arrowmind.config import Config
    from arrowmind.engine.comparing import Comparison
    from arrowmind.engine.device_array import DeviceArray
    from arrowmind.engine.drafting import DraftModel
    from arrowmind.engine.generation import TextGenerator
    from arrowmind.engine.language import LanguageModel
    from arrowmind.engine.perplexity import Perplexity
    from arrowmind.engine.placed_plan import PlacedPlan
    from arrowmind.engine.reader_options import ReaderOptions
    from arrowmind.engine.reading import TextReader
    from arrowmind.engine.senses import Senses
    from arrowmind.engine.transcribing import Transcriber
    from arrowmind.observe import Progress

__all__ = ["ArrowEngine"]

_log = get_logger("arrowmind.engine")


class ArrowEngine(EmbedsText, GeneratesText, Perceives):
    """A model folder, memory-mapped: an encoder that makes embeddings, or a language model that writes.

    Opening maps the weights and reads those it multiplies by. Methods may be called from several threads at
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
        ram: str | int | None = None,
        vram: str | int | None = None,
        on_progress: Progress = no_progress,
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
            ram: Most memory the process may have with a language model, in bytes or as text such as `4GiB`;
                matrices that do not fit come and go. None takes `residency.ram`, by default no bound.
            vram: Most memory that the model may take of its device, likewise; of a language model, the blocks
                that do not fit run on the CPU. None takes `device.vram`, by default what is free.
            judge: False opens the model whatever its precision report says, as who measures it must.
            on_progress: Called with (done, total, what) while weights are read and layers come up. What it
                raises ends the opening, and nothing of it is left.

        Raises:
            WeightError: A file is missing, damaged, or does not fit the configuration.
            DeviceError: The device is unknown, or cannot be had and `device.fallback` is `error`.
            PrecisionError: Its precision report is below a threshold, and `precision.below` is `refuse`.
            ConfigurationError: The configuration cannot be read.
            MemoryBudgetError: The model cannot run in `ram`; the message says how much it needs.
        """
        started = time.perf_counter()
        EmbedsText.__init__(self)
        GeneratesText.__init__(self)
        Perceives.__init__(self)
        self._config = config = with_profile(default_config(config))
        self.device = resolve_device(
            config.device.name if device is None else device, fallback=config.device.fallback == "cpu"
        )
        self._optimize = optimize
        place = Path(config.model.path).expanduser() if path is None else Path(path)
        budget = _bytes_or_none(config.residency.ram if ram is None else ram, "ram")
        early = None
        if budget is not None:  # else all of it is read by all threads
            early = read_early(place, hashed=config.weights.verify != "off")
        self._threads = _native.ThreadPool(_thread_count(config) if threads is None else threads)
        asked = _bytes_or_none(config.device.vram if vram is None else vram, "vram") or 0
        with undisturbed():
            from arrowmind.engine.assembling import Wishes, assemble  # noqa: PLC0415  imported while the disk works

            wishes = Wishes(self.device, self._threads, optimize, budget, asked, judge)
            self._parts = parts = assemble(place, wishes, config, early, on_progress)
        self._folder, self._tokenizer, self._overseer = parts.folder, parts.tokenizer, parts.overseer
        self._plan, self._language, self._senses = parts.encoder, parts.language, parts.senses
        self._host = parts.host
        if self._host is None:
            self.device = "cpu"
        if self._overseer is not None:
            self._end_overseeing = weakref.finalize(self, self._overseer.close)
        self._load_seconds = time.perf_counter() - started
        if _log.informs:  # kernels are known when the head is packed
            _log.info(
                "model opened",
                path=str(self._folder.path),
                kernels=self._kernels(),
                seconds=round(self._load_seconds, 4),
            )

    @property
    def comparison(self) -> Comparison | None:
        """Foretold and measured speed of the last text that ran alone; None without `ram`.

        None, too, where this machine was never measured (`arrowmind plan` does it), or nothing was written.
        """
        return None if self._overseer is None else self._overseer.witness.last

    def close(self) -> None:
        """Ends the texts that are being generated; the engine generates no more."""
        super().close()
        if self._overseer is not None:
            self._end_overseeing()

    def _text_generator(self) -> TextGenerator:
        from arrowmind.engine.writing import text_generator  # noqa: PLC0415  an encoder starts faster without

        return text_generator(self._parts, self._decoder, self._config.generation)

    def _draft_model(self) -> DraftModel:
        from arrowmind.engine.writing import draft_model  # noqa: PLC0415  an encoder starts faster without

        return draft_model(self._parts, self._decoder, self._config.generation)

    @property
    def perception(self) -> Senses:  # noqa: D102
        if self._senses is None:
            _ = self._folder.senses
            raise InvalidArgumentError(f"{self._folder.path} reads text alone")
        return self._senses

    def _make_transcriber(self) -> Transcriber:
        from arrowmind.engine.prompts import generation_settings  # noqa: PLC0415  needed for transcripts alone
        from arrowmind.engine.transcribing import Transcriber  # noqa: PLC0415  needed for transcripts alone

        settings = {**self._folder.config, **generation_settings(self._folder)}
        return Transcriber(self.perception, self._tokenizer, settings)

    @property
    def _compiled(self) -> LanguageModel | Senses | _native.Plan | PlacedPlan:
        return self._language or self._senses or self._encoder

    def _kernels(self) -> list[str]:
        return self._compiled.kernels()

    @property
    def _encoder(self) -> _native.Plan | PlacedPlan:
        """The plan of an encoder; asking a language model for it is an error that says so."""
        if self._plan is None:
            _ = self._folder.model
            raise InvalidArgumentError(f"{self._folder.path} is no encoder")
        return self._plan

    @property
    def _decoder(self) -> LanguageModel:
        if self._language is None:
            _ = self._folder.decoder
            raise InvalidArgumentError(f"{self._folder.path} is no language model")
        return self._language

    @property
    def is_decoder(self) -> bool:
        """Whether the model is a language model, which writes; else it is an encoder."""
        return self._folder.is_decoder

    @property
    def has_senses(self) -> bool:
        """Whether the model sees images or hears sound."""
        return self._folder.has_senses

    @property
    def dimension(self) -> int:
        """Length of an embedding; of a language model, of its hidden states."""
        return self._folder.spec.hidden

    @property
    def max_tokens(self) -> int:
        """Longest input in tokens, special tokens included; what is beyond is cut."""
        return self._folder.max_tokens

    @property
    def fingerprint(self) -> str:
        """Identifies the weights and how they are pooled: equal fingerprints give equal vectors."""
        return self._folder.fingerprint

    def logits_on_device(self, prompt: str | Sequence[int]) -> DeviceArray:
        """As `logits`; they stay where the head of the model runs.

        Raises:
            InvalidArgumentError: As of `logits`.
        """
        model = self._decoder
        ids = self._ids(prompt)
        model.check(ids)
        return model.logits_there(model.states([ids])[0])

    def logits(self, prompt: str | Sequence[int]) -> NDArray[np.float32]:
        """What a language model foretells after each token of a prompt.

        Args:
            prompt: Text, or token ids.

        Returns:
            float32 [tokens, vocabulary]: row i is for what follows token i.

        Raises:
            InvalidArgumentError: The model is an encoder, or the prompt is empty, too long or no text.
        """
        model = self._decoder
        ids = self._ids(prompt)
        model.check(ids)
        return model.logits(model.states([ids])[0])

    def perplexity(
        self,
        text: str | Path | Sequence[int],
        window: int | None = None,
        stride: int | None = None,
        *,
        show_progress: bool = False,
    ) -> Perplexity:
        """How well a language model foretells a text.

        Args:
            text: The text, a file of it (a `Path`), or its token ids.
            window: Tokens read at a time; None takes 512, or what the model reads.
            stride: Tokens foretold per window; None takes half of it.
            show_progress: Draw a progress bar on standard error.

        Returns:
            The perplexity and the loss in nats per token.

        Raises:
            InvalidArgumentError: The model is an encoder, the text has fewer than two tokens, or window and
                stride do not go together.
        """
        from arrowmind.engine.perplexity import measure  # noqa: PLC0415  weights are read before

        model = self._decoder
        ids = self._ids(read_text(text) if isinstance(text, Path) else text)
        with progress_bar(enabled=show_progress) as progress:
            return measure(model, ids, window=window, stride=stride, progress=progress)

    def reader(self, **options: Unpack[ReaderOptions]) -> TextReader:
        """Reads texts of any length in constant memory, and answers questions about them.

        Args:
            **options: `sinks` (first tokens that stay), `window` (most recent tokens), `recalled` (blocks
                brought back for a question), `block_tokens`; `store` (a folder that keeps the blocks),
                `store_bytes`; `codes`, `keep`, `exact_above`, `reduced_below` (which blocks are kept how);
                `text_weight`, `vector_weight` (what they are found by). What is not given is taken from the
                section `streaming` of the configuration.

        Raises:
            InvalidArgumentError: The model is an encoder, an option is unknown or out of range, or the model
                does not read as many tokens as sinks, recalled blocks and window are.
            MemoryBudgetError: The engine has a budget (`ram`), and its cache is too small for a reader.
            StorageError: The store cannot be used.
        """
        from arrowmind.engine.reader_options import open_reader  # noqa: PLC0415  readers alone need it

        reader = open_reader(self._decoder, self.generator, self.fingerprint, self._config, options)
        if self._overseer is not None:
            self._overseer.add_cache(reader.decoder)
        return reader

    def tokenise(self, text: str) -> list[int]:
        """Token ids of a text, special tokens included, uncut."""
        return self._tokenizer.encode_whole(check_texts(text)[0])

    def detokenise(self, ids: Sequence[int]) -> str:
        """The text of token ids, special tokens left out."""
        return self._tokenizer.decode(ids)

    def _ids(self, prompt: str | Sequence[int]) -> list[int]:
        return self.tokenise(prompt) if isinstance(prompt, str) else check_ids(prompt)

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
            "device_details": describe_device(self.device),
            **({} if self._host is None else {"device_state": self._host.info()}),
            "optimize": self._optimize,
            "threads": self._threads.threads,
            "kernels": self._kernels(),
            "scratch_bytes_per_thread": self._compiled.scratch_bytes_per_token
            * max(MICRO_TOKENS, self.max_tokens),
            "load_seconds": self._load_seconds,
            **({} if (counters := self.residency()) is None else {"residency": counters}),
            **({} if not (memory := self.memory()) else {"memory": memory}),
        }

    def residency(self) -> dict[str, float] | None:
        """What came and went since the model was opened; None where everything stays."""
        residence = None if self._language is None else self._language.residence
        return None if residence is None else residence.counters()

    def memory(self) -> dict[str, int]:
        """Bytes of a language model by component: base, router, experts or layers, kv_cache."""
        telemetry = None if self._overseer is None else self._overseer.telemetry
        return {} if telemetry is None else telemetry.memory()


def _thread_count(config: Config) -> int:
    return config.device.threads or _native.available_cpus()


def _bytes_or_none(given: str | int, what: str) -> int | None:
    return None if given == "" else parse_bytes(given, what)
