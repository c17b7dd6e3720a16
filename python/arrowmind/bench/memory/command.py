"""`arrowmind bench memory`: what the memory finds of conversations and across kinds; print, keep as JSON."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.bench.lines import progress_or_lines
from arrowmind.bench.results import write_result
from arrowmind.observe import configure_logging

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arrowmind.bench.memory.conversations import Conversation
    from arrowmind.bench.targets import Verdict
    from arrowmind.memory import TextEncoder
    from arrowmind.observe import Progress

__all__ = ["FORMAT", "main", "measure_memory"]

FORMAT, VERSION = "arrowmind.bench.memory", 1


def main(words: Sequence[str]) -> int:
    """Run the command.

    Args:
        words: The command line behind `arrowmind bench memory`.

    Returns:
        0, or 1 when `--check` finds an unreached target.
    """
    configure_logging("warning")
    parser = _parser()
    options = parser.parse_args(list(words))
    if options.locomo is options.mixed is options.large is options.beside is None:
        parser.error("give --locomo, --mixed, --large or --beside")
    return _run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="arrowmind bench memory", description=__doc__)
    add = parser.add_argument
    add("--locomo", type=Path, help="folder or file of LoCoMo conversations")
    add("--mixed", type=int, metavar="N", help="N memories of text, image and sound by synthetic encoders")
    add("--large", type=int, metavar="N", help="N memories of text in a store that stays in --cache")
    add("--beside", type=Path, metavar="LOCOMO", help="recall of conversations while `consolidate` works")
    add("--threads", type=int, default=2, help="threads of a recall with --large (default: 2)")
    add("--model", type=Path, help="model folder of the encoder (default: all-MiniLM-L6-v2 in INT8)")
    add("--source", type=Path, help="Hugging Face folder to make it from")
    add("--cache", type=Path, default=Path("results/cache"), help="where that is kept")
    add("--out", type=Path, help="JSON to write (default: results/bench-memory-<time>.json)")
    add("--json", action="store_true", help="print the JSON instead of tables")
    add("--no-tuning", action="store_true", help="measure the shipped weights only")
    add("--check", action="store_true", help="exit with 1 when a target is not reached")
    return parser


def _run(options: argparse.Namespace) -> int:
    from arrowmind import ArrowEngine  # noqa: PLC0415  not needed for --help
    from arrowmind.bench.hardware import hardware_record  # noqa: PLC0415
    from arrowmind.bench.memory.beside import judge_beside, measure_beside  # noqa: PLC0415
    from arrowmind.bench.memory.conversations import read_conversations  # noqa: PLC0415
    from arrowmind.bench.memory.large import judge_large, measure_large  # noqa: PLC0415
    from arrowmind.bench.memory.mixed import judge_mixed, measure_mixed  # noqa: PLC0415
    from arrowmind.bench.memory.report import print_memory_result  # noqa: PLC0415
    from arrowmind.bench.memory.targets import judge_memory  # noqa: PLC0415

    started, clock = datetime.now(timezone.utc), time.monotonic()
    result: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    result |= {"started": started.isoformat(timespec="seconds"), "hardware": hardware_record()}
    verdicts: list[Verdict] = []
    cache = options.cache.resolve()
    if options.locomo or options.large is not None or options.beside:
        model = options.model or _prepared(options.source, cache)
        engine = ArrowEngine(model)
    if options.locomo is not None:
        conversations = read_conversations(options.locomo)
        with progress_or_lines() as progress:
            result |= measure_memory(conversations, engine, progress, tune=not options.no_tuning)
        result["workload"] = _workload(conversations, engine)
        verdicts += judge_memory(result.get("held_out", result["shipped"]))
    if options.mixed is not None:
        with progress_or_lines() as progress:
            result["mixed"] = measure_mixed(options.mixed, progress)
        verdicts += judge_mixed(result["mixed"])
    if options.large is not None:
        folder = cache / f"memory-{options.large}"
        with progress_or_lines() as progress:
            result["large"] = measure_large(options.large, engine, folder, options.threads, progress)
        verdicts += judge_large(result["large"])
    if options.beside is not None:
        told = read_conversations(options.beside)
        with progress_or_lines() as progress:
            result["beside"] = measure_beside(told, engine, _consolidating(model), progress)
        verdicts += judge_beside(result["beside"])
    result["targets"] = [verdict.to_dict() for verdict in verdicts]
    result["seconds"] = time.monotonic() - clock
    path = write_result(result, options.out, "bench-memory")
    if options.json:
        print(json.dumps(result))
    else:
        print_memory_result(result, verdicts)
        print(f"written: {path}")
    return int(options.check and any(verdict.reached is False for verdict in verdicts))


def measure_memory(
    conversations: Sequence[Conversation], encoder: TextEncoder, progress: Progress, *, tune: bool
) -> dict[str, Any]:
    """Tells each conversation to a store of its own and asks its questions.

    Args:
        conversations: one at least, two for tuning.
        encoder: makes vectors of texts.
        progress: called with (conversations done, all of them, "conversations").
        tune: whether to learn weights, too, leaving each conversation out once.

    Returns:
        JSON values: ``shipped``, the means by category, ``recall``, how long one took, and with tuning
        ``held_out``, the same means with learned weights, its ``folds``, and the ``weights`` of all together.
    """
    from arrowmind.bench.memory.asking import ask  # noqa: PLC0415
    from arrowmind.bench.memory.measures import means  # noqa: PLC0415
    from arrowmind.bench.memory.telling import tell  # noqa: PLC0415
    from arrowmind.bench.memory.tuning import gather_evidence, hold_out  # noqa: PLC0415
    from arrowmind.bench.statistics import latency  # noqa: PLC0415

    answers, gathered = [], []
    for number, conversation in enumerate(conversations, start=1):
        with tempfile.TemporaryDirectory(prefix="arrowmind-") as folder:
            store, places = tell(conversation, Path(folder) / "memory", encoder)
            with closing(store):
                answers.append(ask(store, places, conversation))
                if tune:
                    gathered.append(gather_evidence(store, places, conversation))
        progress(number, len(conversations), "conversations")
    learned = hold_out(gathered) if len(gathered) > 1 else {}
    return {
        **learned,
        "shipped": means(item for each in answers for item in each.found),
        "recall": latency([seconds for each in answers for seconds in each.seconds]),
    }


def _consolidating(model: Path) -> Callable[[Path, Path], list[str]]:
    """What anybody would type to consolidate a store."""
    command = [sys.executable, "-m", "arrowmind", "consolidate", "--quiet", "--model", str(model)]
    return lambda store, settings: [*command, "--store", str(store), "--config", str(settings)]


def _prepared(source: Path | None, cache: Path) -> Path:
    """The folder of the INT8 encoder, made if it is not there yet."""
    from arrowmind.bench.contenders import contender  # noqa: PLC0415
    from arrowmind.bench.contenders.base import Job  # noqa: PLC0415
    from arrowmind.bench.source import find_source  # noqa: PLC0415

    name = "arrowmind-int8"
    job = Job(name, find_source(source), cache / name, threads=2)
    folder = job.cache / name
    if not (folder / "weights.arrow").is_file():
        contender(name).load().prepare(job)
    return folder


def _workload(conversations: Sequence[Conversation], encoder: TextEncoder) -> dict[str, Any]:
    return {
        "conversations": len(conversations),
        "turns": sum(len(each.turns) for each in conversations),
        "questions": sum(len(each.questions) for each in conversations),
        "encoder": encoder.fingerprint,
    }
