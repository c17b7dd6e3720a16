"""Text to token ids: the model's own tokenizer.json, run by the `tokenizers` library."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from arrowmind.errors import InvalidArgumentError, TokenizerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tokenizers import Encoding

__all__ = ["TextTokenizer", "check_ids", "check_texts", "read_text"]

_SURROGATES = re.compile("[\ud800-\udfff]")
# Characters looked at first when a text may be far longer than the model reads. Cutting cannot change the
# result unless fewer tokens than the model reads come out, and then more is looked at.
_FIRST_CUT = 1 << 14


def check_texts(texts: object) -> list[str]:
    """`texts` as a list of strings.

    Raises:
        InvalidArgumentError: It is neither a string nor a sequence of strings.
    """
    if isinstance(texts, str):
        return [texts]
    if isinstance(texts, bytes) or not hasattr(texts, "__iter__"):
        raise InvalidArgumentError(f"texts is {type(texts).__name__}; give a string or a list of strings")
    listed = list(texts)
    for index, text in enumerate(listed):
        if not isinstance(text, str):
            raise InvalidArgumentError(f"texts[{index}] is {type(text).__name__}, not a string: {text!r:.80}")
    return listed


def check_ids(ids: object) -> list[int]:
    """`ids` as a list of whole numbers.

    Raises:
        InvalidArgumentError: It is no sequence of them.
    """
    if isinstance(ids, bytes) or not hasattr(ids, "__iter__"):
        raise InvalidArgumentError(f"a prompt is {type(ids).__name__}; give text or token ids")
    listed = list(ids)
    for place, token in enumerate(listed):
        if isinstance(token, bool) or not isinstance(token, int | np.integer):
            raise InvalidArgumentError(f"token ids[{place}] is {token!r:.80}, not a whole number")
    return [int(token) for token in listed]


def read_text(path: Path) -> str:
    """The text of a file, UTF-8; bytes that are not are read as U+FFFD.

    Raises:
        InvalidArgumentError: There is no such file, or it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InvalidArgumentError(f"{path} cannot be read: {error.strerror}") from error


class TextTokenizer:
    """A tokenizer that cuts at `max_tokens`, special tokens included.

    Lone surrogates, which no UTF-8 text can hold, are read as U+FFFD.
    """

    def __init__(self, path: Path, max_tokens: int) -> None:
        """Loads tokenizer.json.

        Raises:
            TokenizerError: The file is missing or damaged.
        """
        try:
            self._tokenizer = Tokenizer.from_buffer(path.read_bytes())
        except FileNotFoundError as error:
            raise TokenizerError(
                f"{path} is missing; convert the model again from its original folder"
            ) from error
        except Exception as error:  # the library raises bare Exception for a file it cannot parse
            raise TokenizerError(
                f"{path} is not a tokenizer.json: {error}; convert the model again"
            ) from error
        self.max_tokens = max_tokens
        self._uncut: Tokenizer | None = None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._specials = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        if max_tokens <= self._specials:
            raise TokenizerError(
                f"max_tokens={max_tokens} leaves no room for text beside {self._specials} special tokens"
            )
        self._tokenizer.enable_truncation(max_length=max_tokens)

    @property
    def vocabulary(self) -> int:
        """Number of token ids, added tokens included."""
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, cut at `max_tokens`."""
        return [encoding.ids for encoding in self._encode([_clean(text) for text in texts])]

    def encode_whole(self, text: str) -> list[int]:
        """All token ids of `text`, uncut; special tokens stand once, where they stand in a short text."""
        ids: list[int] = self.uncut.encode(_clean(text)).ids
        return ids

    def encode_rendered(self, text: str) -> list[int]:
        """All token ids of a text that holds its special tokens already, as a chat template writes them."""
        ids: list[int] = self.uncut.encode(_clean(text), add_special_tokens=False).ids
        return ids

    @property
    def uncut(self) -> Tokenizer:
        """The same tokenizer without the cut."""
        self._uncut = self._uncut or _uncut(self._tokenizer)
        return self._uncut

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, special tokens left out."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def windows(self, text: str, max_tokens: int) -> list[str]:
        """`text` cut into consecutive pieces of at most `max_tokens` tokens, specials included.

        Cuts fall between tokens; a text without tokens is one window.
        """
        room = min(max_tokens, self.max_tokens) - self._specials
        if room < 1:
            raise InvalidArgumentError(
                f"max_tokens={max_tokens} leaves no room beside {self._specials} special tokens"
            )
        text = _clean(text)
        spans = self._token_spans(text)
        if len(spans) <= room:
            return [text]
        starts = [0, *(spans[index][0] for index in range(room, len(spans), room))]
        ends = [*starts[1:], len(text)]
        return [text[start:end] for start, end in zip(starts, ends, strict=True)]

    def _token_spans(self, text: str) -> list[tuple[int, int]]:
        """Character spans of all tokens of `text` but the special ones, those beyond the cut included."""
        first = self._tokenizer.encode(text)
        return [
            span
            for encoding in (first, *first.overflowing)
            for span, special in zip(encoding.offsets, encoding.special_tokens_mask, strict=True)
            if not special
        ]

    def _encode(self, texts: list[str]) -> list[Encoding]:
        cut = _FIRST_CUT
        encodings = self._tokenizer.encode_batch_fast([text[:cut] for text in texts])
        short = [
            i for i, text in enumerate(texts) if len(text) > cut and len(encodings[i].ids) < self.max_tokens
        ]
        while short:
            cut *= 8
            for index, encoding in zip(
                short, self._tokenizer.encode_batch_fast([texts[i][:cut] for i in short]), strict=True
            ):
                encodings[index] = encoding
            short = [i for i in short if len(texts[i]) > cut and len(encodings[i].ids) < self.max_tokens]
        return encodings


def _uncut(tokenizer: Tokenizer) -> Tokenizer:
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_truncation()
    return copy


def _clean(text: str) -> str:
    return text if text.isascii() else _SURROGATES.sub("�", text)
