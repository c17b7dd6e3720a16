"""What was generated, in the shapes of OpenAI's interface."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from arrowmind.server.tools import AnswerReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from arrowmind.generate import Choice, Delta, Generation, TokenPieces
    from arrowmind.server.tools import ToolCall, ToolUse

__all__ = ["Answer", "usage"]

_REASONS = {"eos": "stop", "stop": "stop", "constraint": "stop", "length": "length"}


class Answer:
    """The frame of one answer: its id, model and kind."""

    def __init__(
        self,
        model: str,
        pieces: TokenPieces,
        *,
        is_chat: bool,
        logprobs: bool,
        tools: ToolUse | None = None,
    ) -> None:
        """An answer that begins now.

        Args:
            model: Name of the model.
            pieces: Bytes of its tokens.
            is_chat: Whether it is a message.
            logprobs: Whether logarithms of probabilities are told.
            tools: What it may call; None for nothing.
        """
        self._pieces, self._is_chat, self._logprobs, self._tools = pieces, is_chat, logprobs, tools
        self._readers: dict[int, AnswerReader] = {}
        prefix, self._kind = ("chatcmpl", "chat.completion") if is_chat else ("cmpl", "text_completion")
        self._frame = {"id": f"{prefix}-{secrets.token_hex(12)}", "created": int(time.time()), "model": model}

    def whole(self, generations: Sequence[Generation], counts: dict[str, int]) -> dict[str, Any]:
        """The answer in one piece."""
        choices = []
        for index, one in enumerate(generations):
            content: dict[str, Any] = {"text": one.text}
            calls: list[ToolCall] = []
            if self._is_chat:
                text, calls = self._read(one.text)
                content = {"message": {"role": "assistant", "content": text, "refusal": None}}
            if calls:
                content["message"] |= {"tool_calls": [call.to_dict() for call in calls]}
                content["message"]["content"] = text or None
            choices.append(self._choice(index, content, one.logprobs, one.finish_reason, called=bool(calls)))
        return {**self._frame, "object": self._kind, "choices": choices, "usage": counts}

    def opening(self, count: int) -> list[dict[str, Any]]:
        """What a stream begins with: of a message, who speaks."""
        if not self._is_chat:
            return []
        delta = {"delta": {"role": "assistant", "content": ""}}
        return [self._chunk([self._choice(index, delta, (), None)]) for index in range(count)]

    def piece(self, index: int, delta: Delta) -> dict[str, Any] | None:
        """One delta of the answer of this index; None where there is nothing to tell of it yet."""
        text = delta.text
        calls: list[ToolCall] = []
        if self._tools is not None:
            reader = self._readers.setdefault(index, AnswerReader(self._tools))
            text = reader.feed(delta.text)
            if delta.finish_reason is not None:
                rest, calls = reader.finish()
                text += rest
        if not (text or calls or delta.logprobs or delta.finish_reason is not None):
            return None
        content: dict[str, Any] = {"text": text}
        if self._is_chat:
            content = {"delta": {"content": text} if text else {}}
        if calls:
            listed = [{"index": place, **call.to_dict()} for place, call in enumerate(calls)]
            content["delta"] |= {"tool_calls": listed}
        reason = delta.finish_reason
        return self._chunk([self._choice(index, content, delta.logprobs, reason, called=bool(calls))])

    def closing(self, counts: dict[str, int]) -> dict[str, Any]:
        """What a stream ends with if counts were asked for."""
        return {**self._chunk([]), "usage": counts}

    def _read(self, text: str) -> tuple[str, list[ToolCall]]:
        """Text and calls of an answer."""
        if self._tools is None:
            return text, []
        reader = AnswerReader(self._tools)
        told = reader.feed(text)
        rest, calls = reader.finish()
        return (told.rstrip() if calls else told + rest), calls

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self._is_chat else self._kind
        return {**self._frame, "object": kind, "choices": choices}

    def _choice(
        self,
        index: int,
        content: dict[str, Any],
        logprobs: Sequence[Choice],
        reason: str | None,
        *,
        called: bool = False,
    ) -> dict[str, Any]:
        told = None
        if self._logprobs and logprobs:
            told = self._chat_logprobs(logprobs) if self._is_chat else self._text_logprobs(logprobs)
        return {
            "index": index,
            **content,
            "logprobs": told,
            "finish_reason": None if reason is None else "tool_calls" if called else _REASONS[reason],
        }

    def _chat_logprobs(self, choices: Iterable[Choice]) -> dict[str, Any]:
        content = [
            {
                **self._token(choice.token, choice.logprob),
                "top_logprobs": [self._token(token, logprob) for token, logprob in choice.top],
            }
            for choice in choices
        ]
        return {"content": content, "refusal": None}

    def _text_logprobs(self, choices: Sequence[Choice]) -> dict[str, Any]:
        texts = [self._text(choice.token) for choice in choices]
        offsets = [sum(map(len, texts[:index])) for index in range(len(texts))]
        return {
            "tokens": texts,
            "token_logprobs": [choice.logprob for choice in choices],
            "top_logprobs": [{self._text(token): value for token, value in one.top} for one in choices],
            "text_offset": offsets,
        }

    def _token(self, token: int, logprob: float | None) -> dict[str, Any]:
        raw = self._pieces.of(token)
        return {"token": raw.decode("utf-8", "replace"), "logprob": logprob, "bytes": list(raw)}

    def _text(self, token: int) -> str:
        return self._pieces.of(token).decode("utf-8", "replace")


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    """Counts of tokens."""
    total = prompt_tokens + completion_tokens
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total}
