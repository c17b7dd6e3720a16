"""Private data is taken out of texts before anything of them is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arrowmind.errors import ConfigurationError, InvalidArgumentError
from arrowmind.privacy.folding import fold
from arrowmind.privacy.registry import NAMES_KIND, detectors_of
from arrowmind.privacy.spans import Span, resolve_overlaps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from arrowmind.privacy.detector import Detector, NameFinder
    from arrowmind.privacy.vault import Vault

__all__ = ["MODES", "Redaction", "Redactor"]

MODES = ("mask", "pseudonym", "remove")
PSEUDONYM = re.compile(r"<([A-Z][A-Z0-9_]{0,31})_([1-9][0-9]{0,14})>")
"""A pseudonym: what `Redactor.redact` writes, and `Redactor.reveal` reads."""

_MAX_DEPTH = 100


@dataclass(frozen=True)
class Redaction:
    """A text after redaction.

    Attributes:
        text: what may be kept.
        spans: what was taken out, by its place in the original; what it read is not among it.
    """

    text: str
    spans: tuple[Span, ...]

    def counts(self) -> dict[str, int]:
        """Finds by kind."""
        kinds = sorted({span.kind for span in self.spans})
        return {kind: sum(span.kind == kind for span in self.spans) for kind in kinds}


class Redactor:
    """Takes private data out of texts. May be used by several threads at once.

    Example:
        >>> Redactor(kinds=["email"]).redact("Write to anna@example.com.").text
        'Write to <EMAIL>.'
    """

    def __init__(
        self,
        kinds: Sequence[str] | None = None,
        mode: str = "mask",
        *,
        vault: Vault | None = None,
        names: NameFinder | None = None,
        extra: Sequence[Detector] = (),
        min_confidence: float = 0.5,
    ) -> None:
        """Chooses what is looked for.

        Args:
            kinds: names as `known_kinds()` lists them, `all` or `none`; None takes `standard_kinds()`.
            mode: `mask` writes the kind, `<CARD>`; `pseudonym` a number that stands for the same value each
                time, `<CARD_3>`; `remove` leaves nothing.
            vault: where pseudonyms are kept; needed for them.
            names: finds names of people; its finds are of the kind `person`.
            extra: further detectors.
            min_confidence: finds below it stay in the text, 0 to 1.

        Raises:
            ConfigurationError: a kind or the mode is unknown, or one thing is missing that another needs.
        """
        if mode not in MODES:
            raise ConfigurationError(f"redaction mode {mode!r} is unknown; use one of: {', '.join(MODES)}")
        if mode == "pseudonym" and vault is None:
            raise ConfigurationError("redaction by pseudonyms needs a vault that keeps them; give one")
        if kinds is not None and NAMES_KIND in kinds and names is None:
            raise ConfigurationError(f"kind {NAMES_KIND!r} needs a model that finds names; give `names`")
        if not 0 <= min_confidence <= 1:
            raise InvalidArgumentError(f"min_confidence={min_confidence!r}: give a number from 0 to 1")
        self._detectors = detectors_of(kinds, extra)
        self._mode, self._vault, self._names, self._least = mode, vault, names, min_confidence

    def find(self, text: str) -> list[Span]:
        """What is private in a text, in order; pseudonyms that it holds already are none.

        Raises:
            InvalidArgumentError: it is no string, or a detector gave a span outside it.
        """
        if not isinstance(text, str):
            raise InvalidArgumentError(f"text is {type(text).__name__}; give a string")
        spans = resolve_overlaps(span for span in self._all(text) if span.confidence >= self._least)
        if spans and not 0 <= spans[0].start < spans[-1].end <= len(text):
            raise InvalidArgumentError(
                f"a detector found characters {spans[0].start} to {spans[-1].end} in a text of {len(text)}; "
                "correct `names` or `extra`"
            )
        return [span for span in spans if not PSEUDONYM.fullmatch(text, span.start, span.end)]

    def redact(self, text: str, namespace: str = "") -> Redaction:
        """The text without what is private. With pseudonyms, what they stand for is on disk when it returns.

        Args:
            text: any string.
            namespace: whose pseudonyms; the same value has another one in another namespace.

        Raises:
            InvalidArgumentError: `text` is no string.
            IntegrityError: the vault is damaged.
            StorageError: the vault cannot be written.
        """
        return self.redact_many([text], namespace)[0]

    def redact_many(self, texts: Iterable[str], namespace: str = "") -> list[Redaction]:
        """Like `redact`, for several texts of one namespace; the vault is written once."""
        held = list(texts)
        found = [self.find(text) for text in held]
        marks = self._marks(held, found, namespace)
        return [
            Redaction(_replaced(text, spans, [next(marks) for _ in spans]), tuple(spans))
            for text, spans in zip(held, found, strict=True)
        ]

    def redact_json(self, value: Any, namespace: str = "") -> Any:
        """JSON values, such as the metadata of a memory, with every text and key in them redacted.

        Raises:
            InvalidArgumentError: they are nested deeper than 100 levels.
        """
        texts = list(_texts(value))
        redacted = {one: two.text for one, two in zip(texts, self.redact_many(texts, namespace), strict=True)}
        return _rewritten(value, redacted)

    def reveal(self, text: str, namespace: str = "") -> str:
        """The text with each pseudonym of this namespace replaced by what it stands for; unknown ones stay.

        Raises:
            ConfigurationError: there is no vault.
            IntegrityError: the vault is damaged.
        """
        if self._vault is None:
            raise ConfigurationError("nothing can be revealed without the vault of the pseudonyms; give one")
        return reveal(text, self._vault, namespace)

    def _all(self, text: str) -> Iterator[Span]:
        folded = fold(text)
        for detector in self._detectors:
            yield from detector.find(folded)
        if self._names is not None:
            for start, end, confidence in self._names.find_names(text):
                yield Span(int(start), int(end), NAMES_KIND, float(confidence))

    def _marks(self, texts: Sequence[str], found: Sequence[Sequence[Span]], namespace: str) -> Iterator[str]:
        """What takes the place of each find, in order."""
        spans = [(text, span) for text, own in zip(texts, found, strict=True) for span in own]
        if self._mode == "pseudonym" and self._vault is not None:
            values = [(span.kind, text[span.start : span.end]) for text, span in spans]
            numbers = self._vault.numbers(namespace, values) if values else []
            return (
                f"<{span.kind.upper()}_{number}>" for (_, span), number in zip(spans, numbers, strict=True)
            )
        return (f"<{span.kind.upper()}>" if self._mode == "mask" else "" for _, span in spans)


def reveal(text: str, vault: Vault, namespace: str = "") -> str:
    """The text with each pseudonym of a namespace replaced by what it stands for; unknown ones stay.

    Raises:
        IntegrityError: the vault is damaged.
    """

    def value(match: re.Match[str]) -> str:
        found = vault.value(namespace, match[1].lower(), int(match[2]))
        return match[0] if found is None else found

    return PSEUDONYM.sub(value, text)


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Every text and key in JSON values."""
    if depth > _MAX_DEPTH:
        raise InvalidArgumentError(
            f"JSON values are nested deeper than {_MAX_DEPTH} levels; use flatter ones"
        )
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key, depth + 1)
            yield from _texts(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, depth + 1)


def _rewritten(value: Any, redacted: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return redacted[value]
    if isinstance(value, Mapping):
        return {_rewritten(key, redacted): _rewritten(item, redacted) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rewritten(item, redacted) for item in value]
    return value


def _replaced(text: str, spans: Sequence[Span], marks: Sequence[str]) -> str:
    parts, behind = [], 0
    for span, mark in zip(spans, marks, strict=True):
        parts += [text[behind : span.start], mark]
        behind = span.end
    parts.append(text[behind:])
    return "".join(parts)
