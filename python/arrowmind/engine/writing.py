"""What a language model writes with: its cache, its generator, and itself as a draft model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.engine.cache_divergence import admitted_cache
from arrowmind.engine.cache_settings import PAGEWISE_FORMATS, SMALL_FORMATS, CacheSettings
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.drafting import DraftModel
from arrowmind.engine.generation import TextGenerator
from arrowmind.quantize.calibration_texts import CALIBRATION_TEXTS

if TYPE_CHECKING:
    from arrowmind.config import GenerationSettings
    from arrowmind.engine.assembling import Parts
    from arrowmind.engine.language import LanguageModel

__all__ = ["cached_decoder", "draft_model", "text_generator"]

# Tokens that a small cache is measured on before it is used: far more than it keeps exact.
_SAMPLE_TOKENS = 768


def text_generator(parts: Parts, language: LanguageModel, settings: GenerationSettings) -> TextGenerator:
    """The generator of `language`, over a cache of its own."""
    decoder = cached_decoder(parts, language, settings)
    cache = decoder.settings
    # Pages that became small give back about what was there, not what was there.
    longest_cut = cache.page_tokens - 1 if cache.format in PAGEWISE_FORMATS else None
    witness = None if parts.overseer is None else parts.overseer.witness
    return TextGenerator(parts.folder, parts.tokenizer, decoder, settings, longest_cut, witness)


def draft_model(parts: Parts, language: LanguageModel, settings: GenerationSettings) -> DraftModel:
    """`language` as one that proposes for larger ones, over a cache of its own."""
    return DraftModel(cached_decoder(parts, language, settings), parts.tokenizer.uncut)


def cached_decoder(parts: Parts, language: LanguageModel, settings: GenerationSettings) -> CachedDecoder:
    """`language` with a cache as the settings want it; a larger one where a small one costs too much."""
    cache = CacheSettings(
        format=settings.cache_format,
        max_tokens=settings.cache_tokens or None,
        prefill_chunk=settings.prefill_chunk,
    )
    if cache.format in SMALL_FORMATS:
        cache = admitted_cache(language, _sample(parts), cache)
    decoder = CachedDecoder(language, cache)
    if parts.overseer is not None:
        parts.overseer.add_cache(decoder)
    return decoder


def _sample(parts: Parts) -> list[int]:
    """Tokens of a text to measure a cache on."""
    ids = parts.tokenizer.encode_whole("\n\n".join(CALIBRATION_TEXTS))
    return ids[: min(_SAMPLE_TOKENS, parts.folder.max_tokens)]
