"""Opens the language model of a folder, within a budget of memory where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

# What writes text comes before weights are asked for: behind hundreds of megabytes in the queue of a disk,
# the file of a module waits for a third of a second.
import arrowmind.engine.generation  # noqa: F401
from arrowmind.engine.forward_room import ForwardRoom
from arrowmind.engine.language import LanguageModel
from arrowmind.engine.measurements import known_device, known_rates
from arrowmind.engine.placing import choose_split
from arrowmind.engine.residence import Room, fit, process_bytes
from arrowmind.engine.touching import BackgroundTouch
from arrowmind.models.decoder_spec import RoutedFeedForward

if TYPE_CHECKING:
    from arrowmind import _native
    from arrowmind.config import Config, GenerationSettings
    from arrowmind.engine.bodies import Split
    from arrowmind.engine.folder import ModelFolder
    from arrowmind.engine.layers import Options
    from arrowmind.engine.on_device import DeviceHost
    from arrowmind.engine.residence import Residence
    from arrowmind.models.decoder_spec import DecoderSpec, GatedFeedForward
    from arrowmind.weights import WeightSource

__all__ = ["device_forwards", "open_language", "room_of"]

_LOGITS_ROWS = 4
_HALF = 2
"""Bytes of a value in the cache."""


def open_language(
    folder: ModelFolder,
    threads: _native.ThreadPool,
    options: Options,
    config: Config,
    ram: int | None,
    host: DeviceHost | None = None,
) -> LanguageModel:
    """The model of `folder`.

    Args:
        folder: holds a decoder.
        threads: to run on.
        options: of the compiler.
        config: how matrices come and go, and how many tokens a cache holds.
        ram: bytes the process may have; None for no bound.
        host: of the device it runs on; None for the CPU.

    Raises:
        MemoryBudgetError: it cannot run in `ram`.
        WeightError: a tensor is missing or has another shape than the model needs.
        DeviceError: it cannot run on the device, and the host does not fall back.
    """
    model, weights, longest = folder.decoder, folder.weights, folder.max_tokens
    residence = None
    if host is not None and ram is not None:
        host.room()  # opens the device: what its driver takes of this process is counted, too
    if ram is not None:
        residence = fit(weights, model, room_of(folder, config), ram, config.residency)
    split = None
    if host is not None:
        rates = known_rates(weights.path, threads.threads), known_device(host.name)
        split = choose_split(folder, config, host, residence, device_forwards(folder, config), rates)
        host = None if host.is_refused else host
    if residence is None:
        return _compile(model, weights, longest, threads, options, host=host, split=split)
    if host is not None and split is not None:
        residence.cut(len(model.blocks) - split.blocks)
    language = _compile(model, residence.weights, longest, threads, options, residence, host, split)
    residence.weights.forget_small_buffers()  # they were looked at, also of what is not in memory
    residence.begin()
    language.prepare_head()
    return language


def _compile(
    model: DecoderSpec,
    weights: WeightSource,
    longest: int,
    threads: _native.ThreadPool,
    options: Options,
    residence: Residence | None = None,
    host: DeviceHost | None = None,
    split: Split | None = None,
) -> LanguageModel:
    """Compiles the model while the disk is waited for."""
    with BackgroundTouch(weights, threads, options.progress) as touching:
        told = options._replace(progress=touching.progress)
        return LanguageModel(model, weights, longest, threads, told, residence, host, split)


def room_of(folder: ModelFolder, config: Config) -> Room:
    """What must be in memory beside the matrices of a folder's decoder."""
    model = folder.decoder
    cache = _cache_bytes(model, config, folder.max_tokens)
    return Room(process_bytes(), cache, _scratch_bytes(model, folder.weights, config.generation))


def device_forwards(folder: ModelFolder, config: Config) -> ForwardRoom:
    """What forwards take there: experts have room of their own beside the buffers of the plan."""
    model, settings = folder.decoder, config.generation
    routed = max(_routed_columns(block.feed_forward, folder.weights) for block in model.blocks)
    row = 4 * (_columns(model, folder.weights) + routed + 4 * model.hidden)
    return ForwardRoom(row, settings.prefill_chunk, 4 * _logits_rows(settings) * model.vocabulary)


def _cache_bytes(model: DecoderSpec, config: Config, longest: int) -> int:
    tokens = config.generation.cache_tokens or longest
    attentions = (block.attention for block in model.blocks)
    return sum(2 * _HALF * one.key_heads * one.head_dim for one in attentions) * tokens


def _scratch_bytes(model: DecoderSpec, weights: WeightSource, settings: GenerationSettings) -> int:
    """Buffers of a forward, and rows of logits."""
    rows = _logits_rows(settings) * model.vocabulary
    return 4 * (_columns(model, weights) * settings.prefill_chunk + rows)


def _logits_rows(settings: GenerationSettings) -> int:
    return max(_LOGITS_ROWS, settings.max_streams)


def _columns(model: DecoderSpec, weights: WeightSource) -> int:
    """Numbers of a row of a forward: each block's live one after another, the widest decides."""
    widest = max(
        2 * (block.attention.heads + 2 * block.attention.key_heads) * block.attention.head_dim
        for block in model.blocks
    )
    routed = max((_routed_columns(block.feed_forward, weights) for block in model.blocks), default=0)
    return 4 * model.hidden + max(widest, routed) + 3 * 4 * model.hidden


def _routed_columns(feed_forward: GatedFeedForward | RoutedFeedForward, weights: WeightSource) -> int:
    """Of what experts hold of a token: its rows gathered and added up, gate and up, and codes of both."""
    if not isinstance(feed_forward, RoutedFeedForward):
        return 0
    inner, hidden = weights.spec(feed_forward.experts[0].up.weight).shape
    return feed_forward.router.top * (2 * hidden + 3 * inner) + 2 * len(feed_forward.experts)
