"""What a key-value cache is made of."""

from __future__ import annotations

from dataclasses import dataclass

from arrowmind.errors import InvalidArgumentError

__all__ = ["FORMATS", "CacheSettings"]

FORMATS = ("fp32", "fp16")
_LARGEST_PAGE = 4096


@dataclass(frozen=True)
class CacheSettings:
    """How keys and values are kept.

    Attributes:
        format: `fp16`, or `fp32`, which gives the bits of a forward without a cache.
        max_tokens: of all sequences together; None for as many as the model reads. A sequence takes whole
            pages.
        page_tokens: tokens of a page, a multiple of 16.
        prefill_chunk: tokens that a forward reads at most; more go in parts, which bounds its memory.
    """

    format: str = "fp16"
    max_tokens: int | None = None
    page_tokens: int = 64
    prefill_chunk: int = 512

    def __post_init__(self) -> None:
        """Raises InvalidArgumentError for a setting out of range."""
        if self.format not in FORMATS:
            raise InvalidArgumentError(f"cache format {self.format!r}; use one of {', '.join(FORMATS)}")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise InvalidArgumentError(f"cache max_tokens={self.max_tokens}; use at least 1")
        if not 16 <= self.page_tokens <= _LARGEST_PAGE or self.page_tokens % 16:
            raise InvalidArgumentError(
                f"cache page_tokens={self.page_tokens}; use a multiple of 16 up to {_LARGEST_PAGE}"
            )
        if self.prefill_chunk < 1:
            raise InvalidArgumentError(f"prefill_chunk={self.prefill_chunk}; use at least 1")
