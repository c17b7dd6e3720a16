"""Whole models on a device and on the CPU, in turn, on the same texts."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.bench.corpus import benchmark_sentences
from arrowmind.config import Config, DeviceSettings
from arrowmind.engine import ArrowEngine

if TYPE_CHECKING:
    from pathlib import Path

    from arrowmind.observe import Progress

__all__ = ["measure_model"]

_PROMPT = "Once upon a time"


def measure_model(
    folder: Path, device: str, threads: int, rounds: int, texts: int, tokens: int, progress: Progress
) -> dict[str, Any]:
    """Speed of a model on both, and whether they answer alike.

    Args:
        folder: Model folder: of an encoder, or of a language model.
        device: Name of the device.
        threads: Of the CPU.
        rounds: In turn.
        texts: Sentences that an encoder is given.
        tokens: That a language model writes.
        progress: Told of rounds.

    Returns:
        `kind`, `unit`, `device` and `cpu` (per second, medians), `ratio` (median of rounds), and `agreement`:
        the smallest cosine, or the share of tokens that are the same.

    Raises:
        DeviceError: The model does not run on the device.
    """
    strict = Config(device=DeviceSettings(fallback="error"))
    engines = {
        "device": ArrowEngine(folder, device=device, threads=threads, config=strict),
        "cpu": ArrowEngine(folder, device="cpu", threads=threads),
    }
    if engines["cpu"].is_decoder:
        return _decoder(engines, rounds, tokens, progress)
    return _encoder(engines, rounds, texts, progress)


def _encoder(engines: dict[str, ArrowEngine], rounds: int, texts: int, progress: Progress) -> dict[str, Any]:
    sentences = benchmark_sentences(texts, lambda some: [len(one.split()) for one in some])
    answers = {name: engine.encode(sentences) for name, engine in engines.items()}
    speeds: dict[str, list[float]] = {name: [] for name in engines}
    for done in range(rounds):
        for name, engine in engines.items():
            started = time.perf_counter()
            engine.encode(sentences)
            speeds[name].append(len(sentences) / (time.perf_counter() - started))
        progress(done + 1, rounds, "rounds")
    cosines = np.einsum("ij,ij->i", answers["device"], answers["cpu"])
    return _told("encoder", "sentences/s", speeds, float(cosines.min()))


def _decoder(engines: dict[str, ArrowEngine], rounds: int, tokens: int, progress: Progress) -> dict[str, Any]:
    def write(engine: ArrowEngine) -> list[int]:
        (written,) = engine.generate([_PROMPT], max_tokens=tokens, ignore_eos=True)
        return list(written.token_ids)

    answers = {name: write(engine) for name, engine in engines.items()}
    speeds: dict[str, list[float]] = {name: [] for name in engines}
    for done in range(rounds):
        for name, engine in engines.items():
            started = time.perf_counter()
            count = len(write(engine))
            speeds[name].append(count / (time.perf_counter() - started))
        progress(done + 1, rounds, "rounds")
    same = sum(a == b for a, b in zip(answers["device"], answers["cpu"], strict=True))
    return _told("language model", "tokens/s", speeds, same / len(answers["cpu"]))


def _told(kind: str, unit: str, speeds: dict[str, list[float]], agreement: float) -> dict[str, Any]:
    ratios = [there / here for there, here in zip(speeds["device"], speeds["cpu"], strict=True)]
    return {
        "kind": kind,
        "unit": unit,
        "device": statistics.median(speeds["device"]),
        "cpu": statistics.median(speeds["cpu"]),
        "ratio": statistics.median(ratios),
        "agreement": agreement,
    }
