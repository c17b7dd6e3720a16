"""The part of the engine that writes: generate, stream, and stream on an event loop."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypedDict, overload

from arrowmind.engine.worker_state import WorkerState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Unpack

    from arrowmind.engine.async_streams import AsyncGenerationStream
    from arrowmind.engine.drafting import DraftModel
    from arrowmind.engine.generation import TextGenerator
    from arrowmind.engine.prompts import Prompt
    from arrowmind.engine.streams import GenerationStream
    from arrowmind.generate import DraftProposer, Generation

__all__ = ["GeneratesText", "GenerationOptions"]


class GenerationOptions(TypedDict, total=False):
    """Options by name; `SamplingParameters` and `GenerationRequest` tell what each does."""

    max_tokens: int
    temperature: float
    seed: int | None
    stop: str | Sequence[str]
    ignore_eos: bool
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float
    frequency_penalty: float
    presence_penalty: float
    penalty_window: int | None
    stop_ids: Sequence[int]
    logprobs: int | None
    logit_bias: Mapping[int, float]
    json_schema: Mapping[str, Any] | str | None
    grammar: str | None
    regex: str | None
    draft: str | DraftModel | DraftProposer | None
    tools: Sequence[Mapping[str, Any]] | None
    template_variables: Mapping[str, Any] | None


class GeneratesText:
    """Methods of an engine over a language model."""

    def __init__(self) -> None:
        """Makes the generator when the first text is asked for."""
        self._generator_lock = threading.Lock()
        self._made_generator: TextGenerator | None = None
        self._made_draft_model: DraftModel | None = None

    def _text_generator(self) -> TextGenerator:
        raise NotImplementedError

    def _draft_model(self) -> DraftModel:
        raise NotImplementedError

    @property
    def generator(self) -> TextGenerator:
        """What generates, for servers and their like.

        Raises:
            InvalidArgumentError: The model is an encoder.
        """
        with self._generator_lock:
            if self._made_generator is None:
                self._made_generator = self._text_generator()
            return self._made_generator

    @property
    def draft_model(self) -> DraftModel:
        """The model as one that proposes for larger ones: `large.generate(..., draft=small.draft_model)`.

        Raises:
            InvalidArgumentError: The model is an encoder.
        """
        with self._generator_lock:
            if self._made_draft_model is None:
                self._made_draft_model = self._draft_model()
            return self._made_draft_model

    @overload
    def generate(  # type: ignore[overload-overlap]  # text is a sequence of texts to a type checker
        self, prompt: Sequence[str] | Sequence[Sequence[int]], **options: Unpack[GenerationOptions]
    ) -> list[Generation]: ...

    @overload
    def generate(self, prompt: Prompt, **options: Unpack[GenerationOptions]) -> Generation: ...

    def generate(self, prompt: Any, **options: Unpack[GenerationOptions]) -> Generation | list[Generation]:
        """Text that follows a prompt.

        The defaults are greedy, 128 tokens, no constraint. Several prompts are generated together, each as it
        would be alone.

        Args:
            prompt: Text, token ids, or messages (objects with role and content, put into the model's chat
                template); or a list of these.
            **options: `max_tokens`, `temperature`, `seed`, `stop`, `ignore_eos`, `top_k`, `top_p`, `min_p`,
                `repetition_penalty`, `frequency_penalty`, `presence_penalty`, `penalty_window`, `stop_ids`,
                `logprobs`, `logit_bias` as of `SamplingParameters`; `json_schema`, `grammar` or `regex`,
                which the text follows (extra `grammar`); `draft`, which changes the speed alone:
                "prompt_lookup", or the `draft_model` of a smaller engine; `tools` and `template_variables`
                for the chat template.

        Returns:
            A Generation with text, token ids and timings; for a list of prompts a list of them.

        Raises:
            InvalidArgumentError: The model is an encoder, the prompt is empty or longer than the model reads,
                or an option cannot be used.
        """
        return self.generator.generate(prompt, self.generator.request(options))

    def stream(self, prompt: Prompt, **options: Unpack[GenerationOptions]) -> GenerationStream:
        """The same for one prompt, piece by piece: an iterator of deltas, whose `generation` is the whole.

        Generation goes on while nobody reads; it ends when the stream is closed or forgotten.

        Raises:
            InvalidArgumentError: As for `generate`.
            OverloadError: Too many texts wait already.
        """
        return self.generator.stream(prompt, self.generator.request(options))

    def astream(self, prompt: Prompt, **options: Unpack[GenerationOptions]) -> AsyncGenerationStream:
        """The same for `async for`. Nothing runs on the event loop; who is cancelled frees the sequence.

        What is wrong with the prompt is raised by the first delta, or by `await stream.start()`.

        Raises:
            InvalidArgumentError: An option cannot be used.
        """
        return self.generator.astream(prompt, self.generator.request(options))

    def worker_state(self) -> WorkerState:
        """How many texts are being generated and wait, and whether more may come."""
        made = self._made_generator
        return WorkerState(0, 0, accepts=True) if made is None else made.state()

    def close(self) -> None:
        """Ends the texts that are being generated; the engine generates no more."""
        with self._generator_lock:
            if self._made_generator is not None:
                self._made_generator.worker.close()
