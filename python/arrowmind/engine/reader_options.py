"""Options of a reader, from arguments and the configuration, and the reader that they make."""

from __future__ import annotations

import dataclasses
import difflib
from typing import TYPE_CHECKING, Any, TypedDict

from arrowmind.config import Config
from arrowmind.config.keys import keys
from arrowmind.config.sizes import parse_bytes
from arrowmind.engine.cache_settings import CacheSettings
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.keeping import KeepSettings
from arrowmind.engine.reading import TextReader
from arrowmind.engine.rolling import RollingShape
from arrowmind.errors import InvalidArgumentError, MemoryBudgetError
from arrowmind.streaming import GradingRules, RecallWeights

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from arrowmind.config import StreamingSettings
    from arrowmind.engine.generation import TextGenerator
    from arrowmind.engine.language import LanguageModel

__all__ = ["ReaderOptions", "open_reader", "shape_of"]

_SECTION = "streaming"
_LARGEST_BLOCK, _MOST_WINDOW = 64, 4096
_BLOCKS = 32
"""Blocks that a model should read at least, or blocks are made smaller."""


class ReaderOptions(TypedDict, total=False):
    """Options by name; the keys `streaming.*` of the configuration tell what each does."""

    sinks: int
    window: int
    recalled: int
    block_tokens: int
    codes: str
    keep: Sequence[str]
    exact_above: float
    reduced_below: float
    text_weight: float
    vector_weight: float
    store: str | os.PathLike[str]
    store_bytes: str | int


def open_reader(
    language: LanguageModel,
    generator: TextGenerator,
    fingerprint: str,
    config: Config,
    options: Mapping[str, Any],
) -> TextReader:
    """A reader of a model.

    Args:
        language: The model.
        generator: Of its texts.
        fingerprint: Of its weights.
        config: What is not given.
        options: Those of `ReaderOptions` that are.

    Raises:
        InvalidArgumentError: An option is unknown or out of range.
        MemoryBudgetError: The model has a budget, and its cache is too small for a reader.
        StorageError: The store cannot be used.
    """
    settings = _merged(config.streaming, options)
    shape = shape_of(settings, language.max_tokens)
    shape.check(language.max_tokens)
    cached = config.generation.cache_tokens or language.max_tokens
    if language.residence is not None and shape.pool_tokens > cached:
        raise MemoryBudgetError(
            f"a reader with a window of {shape.window} tokens needs a cache of {shape.pool_tokens}, and the "
            f"budget of this engine has {cached}: give generation.cache_tokens={shape.pool_tokens}, or a "
            "smaller window"
        )
    decoder = CachedDecoder(
        language, CacheSettings("fp16", shape.pool_tokens, shape.page_tokens), on_device=False
    )
    keep = KeepSettings(
        rules=GradingRules(tuple(settings.keep), settings.exact_above, settings.reduced_below),
        weights=RecallWeights(settings.text_weight, settings.vector_weight),
        store=settings.store or None,
        store_bytes=parse_bytes(settings.store_bytes, "store_bytes") if settings.store_bytes else None,
        codes=settings.codes,
    )
    return TextReader(decoder, shape, generator, fingerprint, keep)


def shape_of(settings: StreamingSettings, most: int) -> RollingShape:
    """What of a text is in the cache of a model that reads `most` tokens; not checked yet."""
    page = settings.block_tokens or max(16, min(_LARGEST_BLOCK, most // _BLOCKS // 16 * 16))
    shape = RollingShape(settings.sinks, settings.window, settings.recalled, page)
    if settings.window:
        return shape
    beside = most - shape.tokens
    return dataclasses.replace(shape, window=min(_MOST_WINDOW, beside // page * page))


def _merged(settings: StreamingSettings, options: Mapping[str, Any]) -> StreamingSettings:
    known = keys(Config)
    changed = {}
    for name, value in options.items():
        key = known.get(f"{_SECTION}.{name}")
        if key is None:
            names = [path.removeprefix(f"{_SECTION}.") for path in known if path.startswith(f"{_SECTION}.")]
            near = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"use {', '.join(names)}"
            raise InvalidArgumentError(f"there is no option {name!r} of a reader; {hint}")
        try:
            changed[name] = key.check(str(value) if key.type_name == "str" else value)
        except ValueError as error:
            raise InvalidArgumentError(str(error)) from error
    return dataclasses.replace(settings, **changed)
