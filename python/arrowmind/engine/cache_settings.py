"""What a key-value cache is made of."""

from __future__ import annotations

from arrowmind.errors import InvalidArgumentError
from arrowmind.frozen import dataclass

__all__ = ["FORMATS", "PAGEWISE_FORMATS", "SMALL_FORMATS", "CacheSettings"]

FORMATS = ("fp32", "fp16", "int8", "k4v4", "k4v3")
SMALL_FORMATS = ("int8", "k4v4", "k4v3")
# Pages become small one by one, and do not come back as they were.
PAGEWISE_FORMATS = ("k4v4", "k4v3")
_LARGEST_PAGE = 4096
_LONGEST = 1 << 31


@dataclass(frozen=True)
class CacheSettings:
    """How keys and values are kept.

    Attributes:
        format: `fp16`; `fp32`, which gives the bits of a forward without a cache; `int8`; or `k4v4` and
            `k4v3`, which keep tokens from afar in 4 bits per element, values of the latter in 3.
        max_tokens: of all sequences together; None for as many as the model reads. A sequence takes whole
            pages.
        page_tokens: tokens of a page, a multiple of 16.
        sinks: first tokens that `k4v4` and `k4v3` keep in fp16, rounded up to pages.
        recent: last tokens that they keep in fp16.
        prefill_chunk: tokens that a forward reads at most; more go in parts, which bounds its memory.
        perplexity_ratio: largest perplexity by that of fp16 with which `admitted_cache` lets a format pass.
    """

    format: str = "fp16"
    max_tokens: int | None = None
    page_tokens: int = 64
    sinks: int = 4
    recent: int = 64
    prefill_chunk: int = 512
    perplexity_ratio: float = 1.01

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
        for name, value, least in (
            ("prefill_chunk", self.prefill_chunk, 1),
            ("sinks", self.sinks, 0),
            ("recent", self.recent, 0),
        ):
            if not least <= value < _LONGEST:
                raise InvalidArgumentError(f"cache {name}={value}; use at least {least}, below 2^31")
        if not self.perplexity_ratio >= 1:
            raise InvalidArgumentError(f"cache perplexity_ratio={self.perplexity_ratio}; use at least 1")
