"""`arrowmind bench llm`: language models beside llama.cpp; measure, print, keep as JSON."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.bench.choosing import choose
from arrowmind.bench.contenders.base import Job
from arrowmind.bench.language.contenders import PEERS, ROWS, row_of
from arrowmind.bench.lines import progress_or_lines
from arrowmind.bench.results import write_result
from arrowmind.observe import configure_logging

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.bench.language.race import LanguageRace

__all__ = ["FORMAT", "main"]

FORMAT, VERSION = "arrowmind.bench.llm", 1
_SHAPE = "qwen2.5-0.5b"
_REMEDY = "pip install llama-cpp-python==0.3.36"
_OURS = tuple(name for name, row in ROWS.items() if row.group == "arrowmind")


def main(words: Sequence[str]) -> int:
    """Run the command.

    Args:
        words: The command line behind `arrowmind bench llm`.

    Returns:
        0, or 1 when `--check` finds an unreached target.
    """
    configure_logging("warning")
    return _run(_parser().parse_args(list(words)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="arrowmind bench llm", description=__doc__)
    add = parser.add_argument
    add("--contenders", default=",".join(_OURS), help=f"of {', '.join(ROWS)}")
    add("--peers", default="", help=f"all contenders of these: {', '.join(PEERS)}")
    add("--threads", type=_count, default=2, help="threads of every contender")
    add("--rounds", type=_count, default=5, help="interleaved rounds of decoding")
    add("--prefill-rounds", type=_count, default=3, help="interleaved rounds of reading the prompt")
    add("--tokens", type=_count, default=32, help="tokens of a round")
    add("--behind", type=_count, default=16, help="tokens that they follow")
    add("--prompt", type=_count, default=512, help="tokens of the prompt")
    add("--cache", type=Path, default=Path("results/cache/llm"), help="where model files are kept")
    add("--out", type=Path, help="JSON to write (default: results/bench-llm-<time>.json)")
    add("--json", action="store_true", help="print the JSON instead of tables")
    add("--check", action="store_true", help="exit with 1 when a target is measured and not reached")
    return parser


def _count(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number >= 1")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    from arrowmind.bench.language import shape  # noqa: PLC0415  not needed for --help
    from arrowmind.bench.language.race import LanguageOptions, run_language_race  # noqa: PLC0415
    from arrowmind.bench.language.report import print_language_result  # noqa: PLC0415
    from arrowmind.bench.language.targets import judge_language  # noqa: PLC0415

    started, clock = datetime.now(timezone.utc), time.monotonic()
    names = choose(options.contenders, options.peers, ROWS.values(), row_of, _REMEDY)
    cache = options.cache.resolve()
    config, source = shape.QWEN2_HALF_BILLION, cache / _SHAPE
    shape.write_shape(source, config)
    jobs = [Job(name, source, cache / name, options.threads) for name in names]
    how = LanguageOptions(
        rounds=options.rounds,
        prefill_rounds=options.prefill_rounds,
        tokens=options.tokens,
        behind=options.behind,
        prompt=options.prompt,
        threads=options.threads,
    )
    with tempfile.TemporaryDirectory(prefix="arrowmind-") as folder, progress_or_lines() as progress:
        race = run_language_race(jobs, Path(folder), how, config["vocab_size"], progress)
    verdicts = judge_language(race)
    result = _result(started, options, race)
    result["targets"] = [verdict.to_dict() for verdict in verdicts]
    result["seconds"] = time.monotonic() - clock
    path = write_result(result, options.out, "bench-llm")
    if options.json:
        print(json.dumps(result))
    else:
        print_language_result(result, race, verdicts)
        print(f"written: {path}")
    return int(options.check and any(verdict.reached is False for verdict in verdicts))


def _result(started: datetime, options: argparse.Namespace, race: LanguageRace) -> dict[str, Any]:
    from arrowmind.bench.hardware import hardware_record  # noqa: PLC0415

    counts = {name: getattr(options, name) for name in ("threads", "tokens", "behind", "prompt")}
    return {
        "format": FORMAT,
        "version": VERSION,
        "started": started.isoformat(timespec="seconds"),
        "hardware": hardware_record(),
        "workload": {"shape": _SHAPE, **counts},
        "bandwidth": race.bandwidth,
        "reference": race.reference,
        "contenders": {lane.name: lane.to_dict() for lane in race.lanes},
    }
