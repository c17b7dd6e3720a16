"""`arrowmind bench gpu`: limits, kernels and models of a device; measure, print, keep as JSON."""

from __future__ import annotations

import argparse
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind import _native
from arrowmind.bench.devices.choices import VOCABULARIES, measure_choices
from arrowmind.bench.devices.limits import measure_limits
from arrowmind.bench.devices.matrices import WIDTHS
from arrowmind.bench.devices.models import measure_model
from arrowmind.bench.devices.peers import Peers
from arrowmind.bench.devices.products import measure_products
from arrowmind.bench.devices.races import measure_race
from arrowmind.bench.devices.report import judge, print_result
from arrowmind.bench.devices.shapes import LARGE, RACES
from arrowmind.bench.devices.transfer import measure_transfer
from arrowmind.bench.hardware import hardware_record
from arrowmind.bench.lines import progress_or_lines
from arrowmind.bench.results import write_result
from arrowmind.engine.device import resolve_device
from arrowmind.engine.device_probe import open_device
from arrowmind.observe import configure_logging

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.observe import Progress

__all__ = ["FORMAT", "main", "measure_device"]

FORMAT, VERSION = "arrowmind.bench.gpu", 3
_SHAPES = "4096x4096,11008x4096,4096x11008,4864x896"
# More than the caches of any card; a driver on the CPU has to do with less.
_COPY, _CACHED, _SOFTWARE_COPY = 256 << 20, 256 << 20, 16 << 20
_FILE = 2 << 30
_ROWS, _SOFTWARE_ROWS = (1, 16, 256, 4096), (1, 16, 256)
# Of the square matrices whose product is the rate for bf16.
_TENSOR, _SOFTWARE_TENSOR = 8192, 256


def main(words: Sequence[str]) -> int:
    """Run the command.

    Args:
        words: The command line behind `arrowmind bench gpu`.

    Returns:
        0, or 1 when `--check` finds an unreached target.
    """
    configure_logging("warning")
    options = _parser().parse_args(list(words))
    with progress_or_lines() as progress:
        result = measure_device(options, progress)
    verdicts = judge(result)
    result["targets"] = [verdict.to_dict() for verdict in verdicts]
    path = write_result(result, options.out, "bench-gpu")
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        print_result(result, verdicts)
        print(f"written: {path}")
    return int(options.check and any(verdict.reached is False for verdict in verdicts))


def measure_device(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Everything that the options ask for.

    Raises:
        DeviceError: The device cannot be had, or failed.
        OptimizationError: A kernel gave a wrong answer.
    """
    key = resolve_device(options.device)
    device = open_device(key)
    info = device.info()
    small = bool(info["is_software"] or info["shares_host_memory"])
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    limits = measure_limits(device, _SOFTWARE_COPY if small else _COPY)
    # What shares the host's memory needs no copy.
    transfer = (
        {} if info["shares_host_memory"] else measure_transfer(device, _SOFTWARE_COPY if small else _FILE)
    )
    peers = Peers(key, options.cache.resolve(), options.threads)
    tensor: dict[str, Any] = {"not_measured": "it is no card with memory of its own"}
    if options.races or not small:
        tensor = peers.ask("rate", size=_SOFTWARE_TENSOR if small else _TENSOR, rounds=options.rounds)
    products, absent = measure_products(
        device,
        options.shapes,
        options.rows or (_SOFTWARE_ROWS if small else _ROWS),
        options.widths,
        limits["memory"],
        0 if small else _CACHED,
        progress,
        tensor=tensor.get("operations_per_s"),
    )
    choices = measure_choices(device, limits["memory"], 0 if small else _CACHED, VOCABULARIES)
    models = {
        folder.name: measure_model(
            folder, key, options.threads, options.rounds, options.sentences, options.tokens, progress
        )
        for folder in options.model
    }
    races = _race(options, key, peers, limits["memory"], progress, small=small)
    return {
        "format": FORMAT,
        "version": VERSION,
        "started": started,
        "hardware": hardware_record(),
        "device": {"key": key, **info},
        "limits": limits,
        "tensor": tensor,
        "transfer": transfer,
        "products": [product.to_dict() for product in products],
        "absent": [one.to_dict() for one in absent],
        "choices": [choice.to_dict() for choice in choices],
        "models": models,
        "races": races,
    }


def _race(
    options: argparse.Namespace, key: str, peers: Peers, memory: float, progress: Progress, *, small: bool
) -> dict[str, Any]:
    names = options.races if options.races is not None else () if small else LARGE
    return {
        name: measure_race(
            RACES[name],
            key,
            peers,
            options.cache.resolve(),
            threads=options.threads,
            rounds=options.rounds,
            memory=memory,
            progress=progress,
            backend=options.compiler,
        )
        for name in names
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="arrowmind bench gpu", description=__doc__)
    add = parser.add_argument
    add("--device", default="auto", help="such as cuda:1 or vulkan (default: auto)")
    add("--shapes", type=_shapes, default=_SHAPES, help=f"OUTPUTSxINPUTS of matrices (default: {_SHAPES})")
    add("--rows", type=_numbers, help="rows of activations (default: 1,16,256, and 4096 of a card)")
    add("--widths", type=_widths, default=",".join(WIDTHS), help=f"of {', '.join(WIDTHS)}")
    add("--model", type=Path, action="append", default=[], help="model folder to run there and on the CPU")
    add("--threads", type=int, default=_native.available_cpus(), help="threads of the CPU")
    add("--rounds", type=int, default=5, help="rounds of models, in turn")
    add("--sentences", type=int, default=512, help="sentences of an encoder's round")
    add("--tokens", type=int, default=64, help="tokens of a language model's round")
    add("--races", type=_races, help=f"of {', '.join(RACES)}, or none (default: {','.join(LARGE)} on a card)")
    add("--cache", type=Path, default=Path("results/cache/gpu"), help="where models of races are kept")
    add("--compiler", default="inductor", help="backend of torch.compile (default: inductor)")
    add("--out", type=Path, help="JSON to write (default: results/bench-gpu-<time>.json)")
    add("--json", action="store_true", help="print the JSON instead of tables")
    add("--check", action="store_true", help="exit with 1 when a target is measured and not reached")
    return parser


def _shapes(text: str) -> list[tuple[int, int]]:
    """OUTPUTSxINPUTS, separated by commas; inputs are multiples of 64, as groups are."""
    found = []
    for word in text.split(","):
        outputs, _, inputs = word.partition("x")
        if not (outputs.isdigit() and inputs.isdigit() and int(outputs) and int(inputs)) or int(inputs) % 64:
            raise argparse.ArgumentTypeError(f"{word!r} is not OUTPUTSxINPUTS with inputs a multiple of 64")
        found.append((int(outputs), int(inputs)))
    return found


def _numbers(text: str) -> list[int]:
    if not all(word.isdigit() and int(word) for word in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r} is not whole numbers from 1 on, separated by commas")
    return [int(word) for word in text.split(",")]


def _races(text: str) -> list[str]:
    words = [] if text == "none" else text.split(",")
    if unknown := [word for word in words if word not in RACES]:
        raise argparse.ArgumentTypeError(
            f"races {unknown} are unknown; use some of {', '.join(RACES)}, or none"
        )
    return words


def _widths(text: str) -> list[str]:
    words = text.split(",")
    if unknown := [word for word in words if word not in WIDTHS]:
        raise argparse.ArgumentTypeError(f"widths {unknown} are unknown; use some of {', '.join(WIDTHS)}")
    return words
