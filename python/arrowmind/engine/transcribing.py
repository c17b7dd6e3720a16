"""Writes down what is said: the likeliest token at each place, window by window."""

from __future__ import annotations

import re
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from arrowmind.engine.transcript_forward import TranscriptPlans
from arrowmind.errors import InvalidArgumentError, TokenizerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from arrowmind.engine.senses import Senses
    from arrowmind.engine.tokenizer import TextTokenizer
    from arrowmind.engine.transcript_forward import TranscriptForward

__all__ = ["Transcriber"]

_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")
_TASKS = ("transcribe", "translate")
_MARGIN = 1.0


class _Tokens(NamedTuple):
    """Ids that have a meaning; None for those that the vocabulary lacks."""

    start: int
    end: int
    plain: int | None  # no timestamps follow
    tasks: dict[str, int]
    languages: dict[str, int]
    never: NDArray[np.int64]
    never_first: NDArray[np.int64]


class Transcriber:
    """One writer over one model; calls from several threads are served one by one."""

    def __init__(self, senses: Senses, tokenizer: TextTokenizer, settings: Mapping[str, Any]) -> None:
        """Compiles what a transcript needs beside the towers.

        Args:
            senses: the model.
            tokenizer: of its texts.
            settings: config.json and, over it, generation_config.json: ids to suppress.

        Raises:
            TokenizerError: the tokenizer lacks the tokens that begin and end a transcript.
            WeightError: a tensor is missing or has another shape than the model needs.
        """
        self._senses, self._tokenizer = senses, tokenizer
        self._tower = senses.tower("transcript")
        model = senses.model
        self._plans = TranscriptPlans(senses)
        self._tokens = _find_tokens(tokenizer, settings, model.vocabulary)
        self._lock = threading.Lock()

    def transcribe(
        self, samples: NDArray[np.float32], *, language: str | None, task: str, margin: float
    ) -> str:
        """The text of a sound."""
        prompt_of = self._prompt(language, task)
        texts: list[str] = []
        chosen: list[int] = []
        for window in self._senses.windows(samples, margin):
            states = self._senses.sound_states([window])[0]
            with self._lock:
                chosen, ids = self._plans.over(states, partial(self._transcribe, chosen or prompt_of, task))
            texts.append(self._tokenizer.decode(ids).strip())
        return " ".join(text for text in texts if text)

    def _transcribe(
        self, prompt: list[int], task: str, window: TranscriptForward
    ) -> tuple[list[int], list[int]]:
        """The prompt, in the language of the window where it is not given, and what is written after it."""
        chosen = prompt or self._prompt(self._language(window), task)
        return chosen, self._write(window, chosen)

    def ids(self, states: NDArray[np.float32], prompt: list[int], most: int) -> list[int]:
        """The likeliest tokens after `prompt` with nothing suppressed; for tests against a reference."""
        return self._plans.over(states, lambda window: self._write(window, prompt, most=most, free=True))

    def states(self, samples: NDArray[np.float32], ids: list[int]) -> NDArray[np.float32]:
        """What the tower leaves of each of `ids` over the first window of a sound, [tokens, columns]."""
        window = self._senses.windows(samples, _MARGIN)[0]
        return self._plans.over(self._senses.sound_states([window])[0], lambda heard: heard.states(ids))

    def _prompt(self, language: str | None, task: str) -> list[int]:
        """Tokens a transcript begins with; empty where the language is to be found first."""
        tokens = self._tokens
        if task not in _TASKS:
            raise InvalidArgumentError(f"task {task!r}; use {' or '.join(_TASKS)}")
        plain = [] if tokens.plain is None else [tokens.plain]
        if not tokens.languages:
            if language not in (None, "en") or task != "transcribe":
                raise InvalidArgumentError(
                    f"this model writes one language only; language={language!r}, task={task!r} take another"
                )
            return [tokens.start, *plain]
        if language is None:
            return []
        if language not in tokens.languages:
            known = ", ".join(sorted(tokens.languages))
            raise InvalidArgumentError(f"language {language!r} is not known; use one of {known}")
        task_id = [tokens.tasks[task]] if task in tokens.tasks else []
        return [tokens.start, tokens.languages[language], *task_id, *plain]

    def _language(self, window: TranscriptForward) -> str:
        """The likeliest language of a window."""
        logits = window.logits(window.states([self._tokens.start]))
        return max(self._tokens.languages, key=lambda name: float(logits[self._tokens.languages[name]]))

    def _write(
        self, window: TranscriptForward, prompt: list[int], *, most: int | None = None, free: bool = False
    ) -> list[int]:
        tokens, cache = self._tokens, self._plans.cache()
        sequence, written = cache.start(), list(prompt)
        room = self._tower.rows - len(prompt)
        for place in range(room if most is None else min(most, room)):
            logits = window.logits(window.more(cache, sequence, written[cache.length(sequence) :]))
            if not free:
                logits[tokens.never] = -np.inf
                if place == 0:
                    logits[tokens.never_first] = -np.inf
            best = int(logits.argmax())
            if best == tokens.end and not free:
                break
            written.append(best)
        return written[len(prompt) :]


def _find_tokens(tokenizer: TextTokenizer, settings: Mapping[str, Any], vocabulary: int) -> _Tokens:
    known = {
        text: place
        for text, place in tokenizer.uncut.get_vocab(with_added_tokens=True).items()
        if text.startswith("<|") and place < vocabulary
    }
    for text in ("<|startoftranscript|>", "<|endoftext|>"):
        if text not in known:
            raise TokenizerError(
                f"tokenizer.json has no token {text} within the model's vocabulary of {vocabulary}; convert "
                "the model again with its own tokenizer"
            )
    languages = {
        found[1]: place for text, place in known.items() if (found := _LANGUAGE.fullmatch(text)) is not None
    }
    return _Tokens(
        start=known["<|startoftranscript|>"],
        end=known["<|endoftext|>"],
        plain=known.get("<|notimestamps|>"),
        tasks={task: known[f"<|{task}|>"] for task in _TASKS if f"<|{task}|>" in known},
        languages=languages,
        never=_ids(settings.get("suppress_tokens"), vocabulary),
        never_first=_ids(settings.get("begin_suppress_tokens"), vocabulary),
    )


def _ids(value: object, vocabulary: int) -> NDArray[np.int64]:
    """Ids of a setting that are some of the vocabulary."""
    listed = value if isinstance(value, list) else []
    return np.array([one for one in listed if type(one) is int and 0 <= one < vocabulary], dtype=np.int64)
