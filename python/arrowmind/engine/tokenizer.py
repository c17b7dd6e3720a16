"""Text to token ids: the model's own tokenizer.json, run by the `tokenizers` library."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from arrowmind.errors import InvalidArgumentError, TokenizerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tokenizers import Encoding

__all__ = ["TextTokenizer"]

_SURROGATES = re.compile("[\ud800-\udfff]")
# Characters looked at first when a text may be far longer than the model reads. Cutting cannot change the
# result unless fewer tokens than the model reads come out, and then more is looked at.
_FIRST_CUT = 1 << 14


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
            self._loaded = Tokenizer.from_buffer(path.read_bytes())
        except FileNotFoundError as error:
            raise TokenizerError(
                f"{path} is missing; convert the model again from its original folder"
            ) from error
        except Exception as error:  # the library raises bare Exception for a file it cannot parse
            raise TokenizerError(
                f"{path} is not a tokenizer.json: {error}; convert the model again"
            ) from error
        self.max_tokens = max_tokens
        self._whole: Tokenizer | None = None
        self._cutting: Tokenizer | None = None
        self._lock = threading.Lock()
        self._loaded.no_padding()
        self._loaded.no_truncation()
        self._specials = self._loaded.num_special_tokens_to_add(is_pair=False)
        if max_tokens <= self._specials:
            raise TokenizerError(
                f"max_tokens={max_tokens} leaves no room for text beside {self._specials} special tokens"
            )

    @property
    def vocabulary(self) -> int:
        """Number of token ids, added tokens included."""
        return self._loaded.get_vocab_size(with_added_tokens=True)

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
        """The tokenizer without the cut, which nobody may change.

        It was loaded once; the first of the two that is asked for takes what was, the other is a copy: most
        models need one alone, and a large vocabulary takes a tenth of a second.
        """
        with self._lock:
            if self._whole is None:
                self._whole = self._loaded if self._cutting is None else _copy(self._loaded)
                self._whole.no_truncation()
            return self._whole

    @property
    def _cut(self) -> Tokenizer:
        with self._lock:
            if self._cutting is None:
                self._cutting = self._loaded if self._whole is None else _copy(self._loaded)
                self._cutting.enable_truncation(max_length=self.max_tokens)
            return self._cutting

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, special tokens left out."""
        return self._loaded.decode(list(ids), skip_special_tokens=True)

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
        first = self._cut.encode(text)
        return [
            span
            for encoding in (first, *first.overflowing)
            for span, special in zip(encoding.offsets, encoding.special_tokens_mask, strict=True)
            if not special
        ]

    def _encode(self, texts: list[str]) -> list[Encoding]:
        cut = _FIRST_CUT
        encodings = self._cut.encode_batch_fast([text[:cut] for text in texts])
        short = [
            i for i, text in enumerate(texts) if len(text) > cut and len(encodings[i].ids) < self.max_tokens
        ]
        while short:
            cut *= 8
            for index, encoding in zip(
                short, self._cut.encode_batch_fast([texts[i][:cut] for i in short]), strict=True
            ):
                encodings[index] = encoding
            short = [i for i in short if len(texts[i]) > cut and len(encodings[i].ids) < self.max_tokens]
        return encodings


def _copy(tokenizer: Tokenizer) -> Tokenizer:
    return Tokenizer.from_str(tokenizer.to_str())


def _clean(text: str) -> str:
    return text if text.isascii() else _SURROGATES.sub("�", text)
