"""Whether a model may keep its keys and values in fewer bits: measured, not believed."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.engine.decoding import CachedDecoder
from arrowmind.errors import InvalidArgumentError
from arrowmind.frozen import dataclass
from arrowmind.observe import get_logger, record_fallback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from arrowmind.engine.cache_settings import CacheSettings
    from arrowmind.engine.language import LanguageModel

__all__ = ["CacheDivergence", "admitted_cache", "cache_divergence"]

# Floats of logits made at a time, about.
_LOGITS = 1 << 22
_REFERENCE = "fp16"

_log = get_logger("arrowmind.engine")


@dataclass(frozen=True)
class CacheDivergence:
    """How far a cache of some format is from one of fp16 on a text.

    Attributes:
        perplexity_ratio: perplexity of the text by that with fp16.
        divergence: mean of the Kullback-Leibler divergence from what fp16 foretells, in nats.
        agreement: share of tokens whose most likely successor is the same.
        tokens: of the text.
    """

    perplexity_ratio: float
    divergence: float
    agreement: float
    tokens: int


def cache_divergence(
    language_model: LanguageModel, ids: Sequence[int], settings: CacheSettings
) -> CacheDivergence:
    """Reads a text with a cache as `settings` say, and with one of fp16.

    Args:
        language_model: the model.
        ids: tokens, at least 2, no more than it reads; more than `settings.recent` for the small formats to
            differ at all.
        settings: of the cache.

    Raises:
        InvalidArgumentError: there are too few or too many tokens.
    """
    if not 2 <= len(ids) <= language_model.max_tokens:
        raise InvalidArgumentError(f"{len(ids)} tokens; use 2 to {language_model.max_tokens}")
    bounded = replace(settings, max_tokens=len(ids))
    pair = [CachedDecoder(language_model, one) for one in (replace(bounded, format=_REFERENCE), bounded)]
    handles = [decoder.start() for decoder in pair]
    step = max(1, min(settings.prefill_chunk, _LOGITS // pair[0].vocabulary))
    losses, divergence, agreed = np.zeros(2), 0.0, 0
    for begin in range(0, len(ids) - 1, step):
        part = list(ids[begin : min(begin + step, len(ids) - 1)])
        shares = [
            _log_shares(decoder.append([(handle, part, len(part))])[0])
            for decoder, handle in zip(pair, handles, strict=True)
        ]
        targets = np.asarray(ids[begin + 1 : begin + 1 + len(part)])
        losses -= [float(one[np.arange(len(part)), targets].sum()) for one in shares]
        divergence += float((np.exp(shares[0]) * (shares[0] - shares[1])).sum())
        agreed += int((shares[0].argmax(axis=1) == shares[1].argmax(axis=1)).sum())
    count = len(ids) - 1
    ratio = math.exp(min((losses[1] - losses[0]) / count, 700.0))
    return CacheDivergence(ratio, divergence / count, agreed / count, len(ids))


def admitted_cache(
    language_model: LanguageModel, ids: Sequence[int], settings: CacheSettings
) -> CacheSettings:
    """`settings`, or the same in fp16 where their format would cost more perplexity than they allow.

    Args:
        language_model: the model.
        ids: a text to measure it on, see :func:`cache_divergence`.
        settings: what is wanted; `perplexity_ratio` bounds what it may cost.
    """
    if settings.format in ("fp32", _REFERENCE):
        return settings
    found = cache_divergence(language_model, ids, settings)
    facts = {
        "format": settings.format,
        "perplexity_ratio": found.perplexity_ratio,
        "divergence": found.divergence,
        "tokens": found.tokens,
    }
    # A NaN is no ratio that may pass.
    if found.perplexity_ratio <= settings.perplexity_ratio:
        _log.info("cache format admitted", **facts)
        return settings
    record_fallback("cache format", "perplexity above the bound", bound=settings.perplexity_ratio, **facts)
    return replace(settings, format=_REFERENCE)


def _log_shares(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted
