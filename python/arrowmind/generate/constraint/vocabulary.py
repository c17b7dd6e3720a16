"""Constraints over one vocabulary, by llguidance (extra ``grammar``).

It walks a trie of the tokens' bytes along a lexer of regular-expression derivatives and an Earley parser, and
refuses schema keywords that it does not implement. Its own limits bound the states and the work of a step.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from arrowmind.errors import InvalidArgumentError, TokenizerError
from arrowmind.generate import checks
from arrowmind.generate.constraint.keywords import check_keywords
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from llguidance import LLMatcher

    from arrowmind.generate.text import TokenPieces

__all__ = ["ConstraintVocabulary", "GrammarConstraint"]

_log = get_logger("arrowmind.generate")
_SPECIAL = b"\xff"  # in no UTF-8: what begins with it matches no text
_MOST_CHARACTERS = 1 << 20
_DEEPEST = 100  # brackets in brackets; the library recurses over them
# Refuse what is not implemented, whatever the schema asks for under "x-guidance". A model that may write any
# amount of white space may never stop writing it.
_OPTIONS = {"lenient": False}
# Unless the schema says otherwise, under "x-guidance".
_WHITESPACE = {"whitespace_flexible": True, "whitespace_pattern": r"\x20|\x0A[\x20]{0,32}"}


class ConstraintVocabulary:
    """The tokens of a model, prepared once; constraints for its sequences."""

    def __init__(self, pieces: TokenPieces, vocabulary: int, eos: Collection[int]) -> None:
        """Prepares the trie: about a second for 150,000 tokens.

        Args:
            pieces: Bytes of the tokens.
            vocabulary: Length of a row of logits. Ids without a token are never allowed.
            eos: Ids that end a text, at least one.

        Raises:
            InvalidArgumentError: llguidance is not installed, or an id is not in the vocabulary.
            TokenizerError: It cannot use the tokens.
        """
        try:
            import llguidance  # noqa: PLC0415  an extra
        except ImportError as error:
            raise InvalidArgumentError(
                "constraints need llguidance; install it with: pip install 'arrowmind[grammar]'"
            ) from error
        self.vocabulary = checks.whole("vocabulary", vocabulary, 1, 1 << 24)
        self._eos = checks.token_ids("eos", eos, vocabulary)
        if not self._eos:
            raise InvalidArgumentError("eos is empty; a constrained text needs a token that ends it")
        self._matcher = llguidance.LLMatcher
        self._grammar_from: Any = llguidance.grammar_from
        self._limits = llguidance.LLParserLimits(verbose_errors=False)
        try:
            wrapper = llguidance.TokenizerWrapper(_Tokens(pieces, self.vocabulary, self._eos))
            self._tokenizer = llguidance.LLTokenizer(wrapper, eos_token=list(self._eos))
        except (ValueError, RuntimeError) as error:
            raise TokenizerError(f"no constraints over these tokens: {error}") from error

    def json_schema(self, schema: Mapping[str, Any] | str) -> GrammarConstraint:
        """JSON that satisfies `schema`; between its parts nothing, one space, or one indented line break.

        Raises:
            InvalidArgumentError: It is no schema, or uses a keyword that cannot be enforced.
        """
        if not isinstance(schema, str):
            try:
                schema = json.dumps(schema)
            except (TypeError, ValueError, RecursionError) as error:
                raise InvalidArgumentError(f"the JSON schema is no JSON ({error}); use plain data") from error
        try:
            parsed = json.loads(schema)
        except (ValueError, RecursionError) as error:
            raise InvalidArgumentError(f"the JSON schema is no JSON ({error}): {schema:.60}") from error
        if not isinstance(parsed, dict):
            raise InvalidArgumentError(f"the JSON schema is {schema:.60}; use an object")
        _check_text("JSON schema", schema)
        check_keywords(parsed)
        try:
            grammar = self._matcher.grammar_from_json_schema(schema, _WHITESPACE, _OPTIONS)  # type: ignore[arg-type]
        except ValueError as error:
            raise InvalidArgumentError(f"the JSON schema cannot be enforced: {error}") from error
        return self._constraint("JSON schema", grammar)

    def grammar(self, text: str) -> GrammarConstraint:
        """Text that follows a grammar in the GBNF of llama.cpp or in the Lark of llguidance.

        Raises:
            InvalidArgumentError: It is no such grammar.
        """
        _check_text("grammar", text)
        try:
            grammar: str = self._grammar_from("gbnf", text)
        except (ValueError, RecursionError) as error:
            raise InvalidArgumentError(f"the grammar cannot be read: {error!s:.300}") from error
        return self._constraint("grammar", grammar)

    def regex(self, pattern: str) -> GrammarConstraint:
        """Text that matches `pattern` as a whole, in the syntax of Rust's regex crate.

        Raises:
            InvalidArgumentError: It is no such expression.
        """
        _check_text("regular expression", pattern)
        return self._constraint("regular expression", self._matcher.grammar_from_regex(pattern))

    def _constraint(self, what: str, grammar: str) -> GrammarConstraint:
        matcher = self._matcher(self._tokenizer, grammar, log_level=0, limits=self._limits)
        if matcher.is_error():
            raise InvalidArgumentError(f"the {what} cannot be enforced: {_first_lines(matcher.get_error())}")
        for warning in matcher.get_grammar_warnings():
            _log.warning("constraint", of=what, warning=str(warning))
        return GrammarConstraint(matcher, self.vocabulary)


class GrammarConstraint:
    """What may follow in one sequence under a schema, grammar or expression."""

    def __init__(self, matcher: LLMatcher, vocabulary: int) -> None:
        self._matcher, self._vocabulary = matcher, vocabulary

    @property
    def is_done(self) -> bool:
        """Whether the text is complete and nothing may follow."""
        return self._matcher.is_stopped()

    def mask(self) -> npt.NDArray[np.bool_]:
        """What may come next, bool [vocabulary]; end-of-sequence tokens where the text may end.

        Where the constraint leaves one continuation only, just the token that the tokenizer spells it with.

        Raises:
            InvalidArgumentError: A step exceeds the limits.
        """
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._check("the constraint")
        return np.unpackbits(bits, bitorder="little")[: self._vocabulary].view(np.bool_)

    def advance(self, token: int) -> None:
        """Takes `token`.

        Raises:
            InvalidArgumentError: The mask did not allow it.
        """
        token = checks.whole("token", token, 0, self._vocabulary - 1)
        self._matcher.consume_token(token)
        self._check(f"token {token}")

    def copy(self) -> GrammarConstraint:
        """The same constraint in the same state, for another sequence; cheaper than making it again."""
        return GrammarConstraint(self._matcher.deep_copy(), self._vocabulary)

    def _check(self, what: str) -> None:
        if self._matcher.is_error():
            raise InvalidArgumentError(
                f"{what} cannot go on: {_first_lines(self._matcher.get_error())}; loosen the constraint"
            )


class _Tokens:
    """A vocabulary as llguidance asks for it."""

    def __init__(self, pieces: TokenPieces, vocabulary: int, eos: tuple[int, ...]) -> None:
        self.eos_token_id = eos[0]
        self.bos_token_id = None
        self.special_token_ids = sorted({*pieces.special, *eos})
        special = frozenset(self.special_token_ids)
        self.tokens = [
            _SPECIAL + pieces.of(token) if token in special else pieces.of(token)
            for token in range(vocabulary)
        ]
        self._pieces = pieces
        self._ids = {piece: token for token, piece in enumerate(self.tokens) if piece}
        self._longest = max(map(len, self._ids), default=1)

    def __call__(self, text: bytes) -> list[int]:
        """The model's own tokens of a text that the constraint forces.

        They must spell it exactly. Where its tokenizer changes a text, as SentencePiece does by a space in
        front, the longest tokens from the left.
        """
        tokens = self._pieces.encode(text.decode(errors="replace"))
        if b"".join(map(self._pieces.of, tokens)) == text and self._pieces.special.isdisjoint(tokens):
            return tokens
        tokens, start = [], 0
        while start < len(text):
            lengths = range(min(self._longest, len(text) - start), 0, -1)
            found = next((n for n in lengths if text[start : start + n] in self._ids), 0)
            tokens += [self._ids[text[start : start + found]]] if found else []
            start += found or 1
        return tokens


def _check_text(what: str, text: object) -> None:
    if not isinstance(text, str) or not 0 < len(text) <= _MOST_CHARACTERS:
        raise InvalidArgumentError(
            f"the {what} is {type(text).__name__} {text!r:.40}; use text of up to {_MOST_CHARACTERS}"
        )
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    if deepest > _DEEPEST:
        raise InvalidArgumentError(f"the {what} nests more than {_DEEPEST} brackets; make it flatter")


def _first_lines(message: str) -> str:
    return " ".join(message.split())[:300]
