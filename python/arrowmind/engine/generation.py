"""Text from a language model: requests to sequences, and their way through the scheduler."""

from __future__ import annotations

import dataclasses
import difflib
import threading
from typing import TYPE_CHECKING, Any

from arrowmind.engine.drafting import DraftModel
from arrowmind.engine.prompts import PromptReader, end_tokens, split_prompts
from arrowmind.engine.scheduling import Schedule, ScheduleSettings
from arrowmind.engine.streams import Completion, GenerationStream
from arrowmind.engine.worker import DecodeWorker
from arrowmind.engine.worker_state import WorkerState
from arrowmind.errors import InvalidArgumentError
from arrowmind.frozen import dataclass
from arrowmind.generate import (
    ConstraintVocabulary,
    DraftProposer,
    PromptLookup,
    SamplingParameters,
    TokenPieces,
    TokenSequence,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from arrowmind.config import GenerationSettings
    from arrowmind.engine.async_streams import AsyncGenerationStream
    from arrowmind.engine.comparing import Witness
    from arrowmind.engine.folder import ModelFolder
    from arrowmind.engine.jobs import BatchDecoder, Job
    from arrowmind.engine.prompts import Prompt
    from arrowmind.engine.tokenizer import TextTokenizer
    from arrowmind.generate import Generation, GrammarConstraint

__all__ = ["GenerationRequest", "TextGenerator", "make_request"]

_DRAFTS = ("prompt_lookup",)


@dataclass(frozen=True)
class GenerationRequest:
    """How a text is to be generated.

    Attributes:
        sampling: How tokens are chosen and when it ends.
        json_schema: The text is JSON that satisfies this schema.
        grammar: It follows this grammar (GBNF or Lark).
        regex: It matches this regular expression as a whole.
        draft: Proposals that the model checks: `prompt_lookup`, the `draft_model` of a smaller engine with
            the same tokens, a proposer for one text, or None.
        tools: Descriptions of tools for the chat template.
        template_variables: More names for the chat template, such as `enable_thinking`.
    """

    sampling: SamplingParameters = dataclasses.field(default_factory=SamplingParameters)
    json_schema: Mapping[str, Any] | str | None = None
    grammar: str | None = None
    regex: str | None = None
    draft: str | DraftModel | DraftProposer | None = None
    tools: Sequence[Mapping[str, Any]] | None = None
    template_variables: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Checks what no other place does.

        Raises:
            InvalidArgumentError: More than one constraint, or no such kind of draft.
        """
        given = [name for name in ("json_schema", "grammar", "regex") if getattr(self, name) is not None]
        if len(given) > 1:
            raise InvalidArgumentError(f"{' and '.join(given)} were given; a text follows one of them")
        if isinstance(self.draft, str) and self.draft not in _DRAFTS:
            raise InvalidArgumentError(f"draft is {self.draft!r}; use one of {_DRAFTS}, or None")
        known = self.draft is None or isinstance(self.draft, str | DraftModel)
        if not known and not hasattr(self.draft, "propose"):
            raise InvalidArgumentError(
                f"draft is {type(self.draft).__name__}; use 'prompt_lookup', the draft_model of a smaller "
                "engine, or a proposer"
            )


def make_request(options: Mapping[str, Any]) -> GenerationRequest:
    """A request from options by name: those of `SamplingParameters` and those of `GenerationRequest`.

    Raises:
        InvalidArgumentError: An option is unknown or not usable.
    """
    sampling = {field.name for field in dataclasses.fields(SamplingParameters)}
    own = {field.name for field in dataclasses.fields(GenerationRequest)} - {"sampling"}
    for name in options:
        if name not in sampling | own:
            near = difflib.get_close_matches(name, sampling | own, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"use {', '.join(sorted(sampling | own))}"
            raise InvalidArgumentError(f"there is no option {name!r}; {hint}")
    parameters = SamplingParameters(**{name: options[name] for name in options if name in sampling})
    return GenerationRequest(parameters, **{name: options[name] for name in options if name in own})


class TextGenerator:
    """A language model that writes. Its methods may be called from any thread."""

    request = staticmethod(make_request)

    def __init__(
        self,
        folder: ModelFolder,
        tokenizer: TextTokenizer,
        decoder: BatchDecoder,
        settings: GenerationSettings,
        longest_cut: int | None = None,
        witness: Witness | None = None,
    ) -> None:
        """Reads what a model folder tells of texts.

        Args:
            folder: The model's.
            tokenizer: The model's.
            decoder: Runs it; from now on this generator's worker alone calls it.
            settings: Bounds.
            longest_cut: As of `ScheduleSettings`.
            witness: Is told of each text that is complete.

        Raises:
            TokenizerError: Its tokens cannot be put together one by one.
            WeightError: generation_config.json is damaged.
        """
        self.prompts = PromptReader(folder, tokenizer)
        self.pieces = TokenPieces(tokenizer.uncut)
        self._eos = end_tokens(folder)
        self.tokenizer = tokenizer.uncut
        self._vocabulary = decoder.vocabulary
        self.window = min(decoder.window, decoder.free_tokens)
        self._settings = settings
        bounds = ScheduleSettings(
            max_streams=settings.max_streams,
            prompt_tokens=settings.prompt_tokens,
            shared_prompt_tokens=settings.shared_prompt_tokens,
            kept_prefixes=settings.kept_prefixes,
            longest_cut=longest_cut,
        )
        self.worker = DecodeWorker(Schedule(decoder, bounds, folder.path.name, witness))
        self._constraints: ConstraintVocabulary | None = None
        self._lock = threading.Lock()

    def prepare(self, prompt: Prompt, request: GenerationRequest, count: int = 1) -> list[TokenSequence]:
        """Sequences that answer a prompt, each with random numbers of its own.

        Raises:
            InvalidArgumentError: The prompt or an option cannot be used.
        """
        ids = self.prompts.ids(prompt, tools=request.tools, variables=request.template_variables)
        constraint = self._constraint(request)
        return [
            self._sequence(
                ids,
                request,
                constraint=constraint if constraint is None or not index else constraint.copy(),
                window=self.window,
                stream=index,
            )
            for index in range(count)
        ]

    def sequence(self, ids: Sequence[int], request: GenerationRequest) -> TokenSequence:
        """The sequence that answers token ids, without a bound of its length.

        Raises:
            InvalidArgumentError: There are none, or an option cannot be used.
        """
        return self._sequence(ids, request, constraint=self._constraint(request), window=None, stream=0)

    def _sequence(
        self,
        ids: Sequence[int],
        request: GenerationRequest,
        *,
        constraint: GrammarConstraint | None,
        window: int | None,
        stream: int,
    ) -> TokenSequence:
        return TokenSequence(
            ids,
            request.sampling,
            self._vocabulary,
            pieces=self.pieces,
            eos=self._eos,
            window=window,
            constraint=constraint,
            drafts=self._drafts(request.draft),
            stream=stream,
        )

    def generate(self, prompts: object, request: GenerationRequest) -> Generation | list[Generation]:
        """The text for a prompt, or those for a list of prompts, generated together."""
        listed, several = split_prompts(prompts)
        if several and not (request.draft is None or isinstance(request.draft, str | DraftModel)):
            raise InvalidArgumentError(
                "a proposer of drafts follows one text; give one prompt, or 'prompt_lookup'"
            )
        waits = [Completion(self.prepare(prompt, request)[0]) for prompt in listed]
        try:
            for wait in waits:
                self.worker.submit(wait.job)
            found = [wait.wait() for wait in waits]
        except BaseException:  # one failed, or Ctrl-C: nobody will read the others
            for wait in waits:
                self.worker.cancel(wait.job)
            raise
        return found if several else found[0]

    def stream(self, prompt: object, request: GenerationRequest) -> GenerationStream:
        """The deltas of the text for one prompt."""
        stream = GenerationStream(self.prepare(_single(prompt), request)[0], self.worker.cancel)
        self.submit(stream.job)
        return stream

    def astream(self, prompt: object, request: GenerationRequest) -> AsyncGenerationStream:
        """The same for an event loop."""
        single = _single(prompt)
        return self.follow(lambda: self.prepare(single, request)[0])

    def follow(self, prepare: Callable[[], TokenSequence]) -> AsyncGenerationStream:
        """The deltas of a sequence that `prepare` makes in a thread."""
        from arrowmind.engine.async_streams import AsyncGenerationStream  # noqa: PLC0415  asyncio loads OpenSSL

        return AsyncGenerationStream(prepare, self.submit, self.worker.cancel)

    def submit(self, job: Job) -> None:
        """Queues a sequence.

        Raises:
            OverloadError: Too many wait already.
        """
        self.worker.submit(job, self._settings.max_waiting)

    def _drafts(self, draft: str | DraftModel | DraftProposer | None) -> DraftProposer | None:
        if isinstance(draft, DraftModel):
            return draft.proposer(self.tokenizer, self._vocabulary)
        return PromptLookup() if isinstance(draft, str) else draft

    def state(self) -> WorkerState:
        """How busy it is."""
        worker = self.worker
        accepts = not worker.is_closed and worker.waiting < self._settings.max_waiting
        return WorkerState(worker.running, worker.waiting, accepts)

    def _constraint(self, request: GenerationRequest) -> GrammarConstraint | None:
        if request.json_schema is None and request.grammar is None and request.regex is None:
            return None
        with self._lock:
            if self._constraints is None:
                self._constraints = ConstraintVocabulary(self.pieces, self._vocabulary, self._eos)
        if request.json_schema is not None:
            return self._constraints.json_schema(request.json_schema)
        if request.grammar is not None:
            return self._constraints.grammar(request.grammar)
        return self._constraints.regex(request.regex or "")


def _single(prompt: object) -> Any:
    listed, several = split_prompts(prompt)
    if several:
        raise InvalidArgumentError(f"{len(listed)} prompts to stream; give one, or use generate() for a list")
    return listed[0]
