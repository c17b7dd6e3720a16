"""A small model that proposes what a larger one of the same tokens may write next."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

from arrowmind.errors import CacheFullError, InvalidArgumentError
from arrowmind.generate import checks
from arrowmind.observe import record_fallback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer

    from arrowmind.engine.jobs import BatchDecoder

__all__ = ["DraftModel", "ModelDrafts"]


class ModelDrafts:
    """Proposals for one text: the small model's own most probable tokens."""

    def __init__(
        self, decoder: BatchDecoder, vocabulary: int, left: list[int] | None = None, most: int = 4
    ) -> None:
        """A sequence of its own in the small model's cache.

        Args:
            decoder: Runs the small model.
            vocabulary: Of the large model; a token beyond ends a proposal.
            left: Takes the sequence when nobody knows this object any more. Whoever calls the decoder next
                closes it: a garbage collection may happen anywhere, also where the decoder's lock is held.
            most: Most tokens to propose.
        """
        self._decoder, self._vocabulary = decoder, vocabulary
        self._most = checks.whole("most", most, 1, 64)
        self._handle = decoder.start()
        self._new: list[int] = []
        self._left = [] if left is None else left
        self._close = weakref.finalize(self, self._left.append, self._handle)
        self._close.atexit = False

    def extend(self, tokens: Sequence[int]) -> None:
        """Takes the tokens that follow."""
        self._new += tokens

    def propose(self, limit: int) -> Sequence[int]:
        """At most `limit` tokens to come; none where the small model has no room for the text."""
        count = min(limit, self._most)
        if not self._close.alive or count < 1 or not self._new:
            return []
        try:
            return self._guess(count)
        except (CacheFullError, InvalidArgumentError) as error:  # the window, a token it does not know
            record_fallback("draft", "the draft model cannot read the text", error=str(error))
            self._close()
            return []

    def _guess(self, count: int) -> list[int]:
        _close_left(self._decoder, self._left)
        feed = self._new
        guess: list[int] = []
        while len(guess) < count:
            (logits,) = self._decoder.append([(self._handle, feed, 1)])
            self._new = []
            token = int(logits[0].argmax())
            if token >= self._vocabulary:
                break
            guess.append(token)
            feed = [token]
        known = len(guess) - 1  # the last was not fed
        if known > 0:
            self._decoder.forget(self._handle, known)
        return guess


def _close_left(decoder: BatchDecoder, left: list[int]) -> None:
    """Closes the sequences of texts that are no more."""
    while left:
        try:
            decoder.close(left.pop())
        except IndexError:  # another thread was faster
            return


class DraftModel:
    """A small language model, ready to propose for many texts."""

    def __init__(self, decoder: BatchDecoder, tokenizer: Tokenizer) -> None:
        """Takes the model.

        Args:
            decoder: Runs it; may be called by several threads.
            tokenizer: Its tokens.
        """
        self._decoder, self._tokenizer = decoder, tokenizer
        self._known: weakref.WeakSet[Tokenizer] = weakref.WeakSet()
        self._left: list[int] = []
        self._lock = threading.Lock()

    def proposer(self, tokenizer: Tokenizer, vocabulary: int) -> ModelDrafts:
        """Proposals for one text of a model with this tokenizer and length of a row of logits.

        Raises:
            InvalidArgumentError: Its tokens are others.
        """
        with self._lock:
            if tokenizer not in self._known:
                if tokenizer.get_vocab() != self._tokenizer.get_vocab():
                    raise InvalidArgumentError(
                        "the draft model has other tokens; use a smaller model of the same family"
                    )
                self._known.add(tokenizer)
        _close_left(self._decoder, self._left)
        return ModelDrafts(self._decoder, vocabulary, self._left)
