"""Puts the parts of an engine together: weights, tokenizer, compiled model, and who oversees its memory.

Whoever opens a model imports this only when the disk works at its weights (`early_reading`): most of what is
imported for an engine is imported here. What one kind of model alone needs is imported where it is asked for.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from arrowmind.engine.admission import admit
from arrowmind.engine.compiler import compile_plan
from arrowmind.engine.device import refuse_mixed
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.layers import Options
from arrowmind.engine.tokenizer import TextTokenizer
from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from arrowmind import _native
    from arrowmind.config import Config, DeviceSettings
    from arrowmind.engine.language import LanguageModel
    from arrowmind.engine.on_device import DeviceHost
    from arrowmind.engine.overseeing import Overseer
    from arrowmind.engine.placed_plan import PlacedPlan
    from arrowmind.engine.senses import Senses
    from arrowmind.observe import Progress

__all__ = ["Parts", "Wishes", "assemble"]


@dataclass(frozen=True)
class Wishes:
    """How a model shall run."""

    device: str  # known, and there
    threads: _native.ThreadPool
    optimize: bool
    ram: int | None  # bytes of the process; None: no bound
    vram: int  # bytes of the device; 0: what is free
    judge: bool


@dataclasses.dataclass
class Parts:
    """What a model became. One of `encoder`, `language` and `senses` is there."""

    folder: ModelFolder
    tokenizer: TextTokenizer
    host: DeviceHost | None = None  # of the device; None: all of it runs on the CPU
    encoder: _native.Plan | PlacedPlan | None = None
    language: LanguageModel | None = None
    senses: Senses | None = None
    overseer: Overseer | None = None  # of a language model's memory


def assemble(
    path: Path, wishes: Wishes, config: Config, early: _native.EarlyWeights | None, progress: Progress
) -> Parts:
    """Opens and compiles the model of a folder.

    Args:
        path: of the folder.
        wishes: how it shall run.
        config: the configuration.
        early: its weights, being read already.
        progress: told while weights are read.

    Raises:
        OptimizationError: as of `ArrowEngine`.
    """
    folder = ModelFolder(path, config.weights.verify, early)
    if wishes.judge:
        admit(folder.weights, config)
    parts = Parts(folder, TextTokenizer(folder.tokenizer_path, folder.max_tokens))
    if wishes.device != "cpu":
        parts.host = _host(wishes.device, config.device, wishes.vram)
    elif config.device.precision == "mixed":
        refuse_mixed(wishes.device, falls_back=config.device.fallback == "cpu")
    if folder.is_decoder:
        _compile_language(parts, wishes, config, progress)
    elif folder.has_senses:
        _compile_senses(parts, wishes, progress)
    else:
        _compile_encoder(parts, wishes, progress)
    return parts


def _host(device: str, settings: DeviceSettings, vram: int) -> DeviceHost:
    """What runs the plans of a model on `device`; it takes at most `vram` bytes there, 0 is no bound."""
    from arrowmind.engine.on_device import DeviceHost  # noqa: PLC0415  the CPU starts faster without

    falls_back = settings.fallback == "cpu"
    return DeviceHost(
        device,
        falls_back=falls_back,
        most_used=settings.most_used,
        vram=vram,
        mixed=settings.precision == "mixed",
        graphs=settings.graphs,
        wgmma=settings.wgmma,
        forward_rows=settings.forward_rows,
    )


def _compile_language(parts: Parts, wishes: Wishes, config: Config, progress: Progress) -> None:
    from arrowmind.engine.opening import open_language  # noqa: PLC0415  an encoder starts faster without
    from arrowmind.engine.overseeing import Overseer  # noqa: PLC0415  an encoder starts faster without

    options = Options(wishes.optimize, progress=progress)
    parts.overseer = Overseer(parts.folder, config, wishes.ram, wishes.threads.threads, parts.host)
    parts.language = open_language(
        parts.folder, wishes.threads, options, config, ram=wishes.ram, host=parts.host
    )
    if parts.host is not None and parts.host.is_refused:
        parts.host = None
    parts.overseer.follow(parts.language)


def _compile_senses(parts: Parts, wishes: Wishes, progress: Progress) -> None:
    from arrowmind.engine.senses import Senses  # noqa: PLC0415  an encoder of text starts faster without

    folder = parts.folder
    folder.weights.touch(wishes.threads, progress)
    options = Options(wishes.optimize)
    parts.senses = Senses(folder.senses, folder.weights, wishes.threads, options, parts.host)


def _compile_encoder(parts: Parts, wishes: Wishes, progress: Progress) -> None:
    folder = parts.folder
    folder.weights.touch(wishes.threads, progress)
    plan = compile_plan(folder.model, folder.weights, folder.max_tokens, quantise=wishes.optimize)
    parts.encoder = plan if parts.host is None else parts.host.place(plan)
