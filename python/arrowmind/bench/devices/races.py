"""Models of a shape on a device, ours and Hugging Face's: the same tokens, one after the other."""

from __future__ import annotations

import gc
import itertools
import shutil
import statistics
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind import _native
from arrowmind.bench.devices.shapes import encoder_tensors
from arrowmind.bench.language.forms import FORMS, coded_tensors
from arrowmind.bench.language.shape import SeededWeights, write_shape
from arrowmind.config import Config, DeviceSettings
from arrowmind.engine import ArrowEngine
from arrowmind.engine.compiler import compile_plan
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.on_device import DeviceHost
from arrowmind.weights.schema import FILE_NAME
from arrowmind.weights.writer import write_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from arrowmind.bench.devices.peers import Peers
    from arrowmind.bench.devices.shapes import Race
    from arrowmind.observe import Progress

    # What is timed, how much of it there is, and what the device tells of itself.
    _Work = tuple[Callable[[], object], int, Callable[[], Mapping[str, Any]]]

__all__ = ["measure_race", "model_of"]

# A token for each letter; numbered, so that nothing is known of a prompt from the one before.
_PROMPT = "{:04d} upon a time"
_WARM = 2


def measure_race(
    race: Race, key: str, peers: Peers, cache: Path, *, threads: int, rounds: int, memory: float,
    progress: Progress, backend: str = "inductor",
) -> dict[str, Any]:  # fmt: skip
    """Speed of a shape in each of our forms, and of Hugging Face in FP16.

    Args:
        race: The shape.
        key: Name of the device.
        peers: Asks Hugging Face.
        cache: Where our model files are kept.
        threads: Of the CPU.
        rounds: Of each, one after the other, as a card may hold but one model.
        memory: Bandwidth of the device in bytes per second.
        progress: Told of forms.
        backend: Of `torch.compile`.

    Returns:
        `unit`, `peer` (`rate`, and `name`; or `not_measured`), and `forms`: of each `rate`, `ratio` to the
        peer or None, `without_graphs` (the rate with `device.graphs=off`; None where no forward ran as one),
        and of a writer `weight_bytes`, which every token meets, and `roofline`, the share of
        the memory's bandwidth.

    Raises:
        DeviceError: A model does not run on the device.
    """
    forms: dict[str, dict[str, Any]] = {}
    for done, form in enumerate(race.forms):
        folder = model_of(race, form, cache)
        rate, runs = _rate(race, folder, key, threads, rounds, "auto")
        without = _rate(race, folder, key, threads, rounds, "off")[0] if runs else None
        found = {"rate": rate, "without_graphs": without}
        forms[form] = {**found, **(_roofline(folder, rate, memory) if race.writes else {})}
        progress(done + 1, len(race.forms) + 1, race.name)
    peer = _peer(race, peers, rounds, backend)
    progress(len(race.forms) + 1, len(race.forms) + 1, race.name)
    for found in forms.values():
        found["ratio"] = found["rate"] / peer["rate"] if "rate" in peer else None
    unit = "tokens/s" if race.writes else "sentences/s"
    return {"writes": race.writes, "unit": unit, "batch": race.batch, "peer": peer, "forms": forms}


def _rate(race: Race, folder: Path, key: str, threads: int, rounds: int, graphs: str) -> tuple[float, int]:
    """Rate of a form, and how many forwards ran as one."""
    with (_writer if race.writes else _encoder)(race, folder, key, threads, graphs) as (work, count, told):
        rate = count / statistics.median(_times(work, rounds))
        runs = told().get("graphs", {}).get("runs", 0)
    gc.collect()  # its memory of the device goes before the next one comes
    return rate, runs


def _roofline(folder: Path, rate: float, memory: float) -> dict[str, float]:
    size = (folder / FILE_NAME).stat().st_size
    return {"weight_bytes": size, "roofline": rate * size / memory}


def _peer(race: Race, peers: Peers, rounds: int, backend: str) -> dict[str, Any]:
    config = dict(race.config)
    if race.writes:
        prompt, count = list(_PROMPT.format(0).encode()), race.tokens
        found = peers.ask(
            "decoder", "transformers", config=config, prompt=prompt, tokens=race.tokens, rounds=rounds
        )
    else:
        count, shape = race.batch, {"batch": race.batch, "length": race.tokens}
        found = peers.ask("encoder", "transformers", config=config, rounds=rounds, backend=backend, **shape)
    if "not_measured" in found:
        return found
    return {"rate": count / statistics.median(found["seconds"]), "name": found["name"]}


def model_of(race: Race, form: str, cache: Path) -> Path:
    """Our model folder, made unless it is there; its weights come last, so that half a folder is none."""
    folder = cache / f"{race.name}-{form}"
    if not (folder / FILE_NAME).exists():
        shutil.rmtree(folder, ignore_errors=True)
        write_shape(folder, race.config)
        shapes = None if race.writes else encoder_tensors(race.config)
        source = SeededWeights(folder, shapes)
        write_weights(folder / FILE_NAME, coded_tensors(source, FORMS[form]), source.documents)
    return folder


@contextmanager
def _writer(race: Race, folder: Path, key: str, threads: int, graphs: str) -> Iterator[_Work]:
    strict = Config(device=DeviceSettings(fallback="error", graphs=graphs))
    engine = ArrowEngine(folder, device=key, threads=threads, config=strict, judge=False)

    numbers = itertools.count()

    def write() -> object:
        return engine.generate([_PROMPT.format(next(numbers))], max_tokens=race.tokens, ignore_eos=True)

    try:
        yield write, race.tokens, lambda: engine.info().get("device_state") or {}
    finally:
        engine.close()


@contextmanager
def _encoder(race: Race, folder: Path, key: str, threads: int, graphs: str) -> Iterator[_Work]:
    opened, pool = ModelFolder(folder, verify="off"), _native.ThreadPool(threads)
    plan = compile_plan(opened.model, opened.weights, opened.max_tokens)
    host = DeviceHost(key, falls_back=False, graphs=graphs)
    placed = host.place(plan)
    size = race.batch * race.tokens
    ids = np.random.default_rng(1).integers(0, race.config["vocab_size"], size).astype(np.int32)
    offsets = np.arange(0, size + 1, race.tokens, dtype=np.int32)

    def encode() -> object:
        return placed.run(ids, offsets, pool, True)

    yield encode, race.batch, host.info


def _times(work: Callable[[], object], rounds: int) -> list[float]:
    found = []
    for done in range(_WARM + rounds):
        began = time.perf_counter()
        work()
        if done >= _WARM:
            found.append(time.perf_counter() - began)
    return found
