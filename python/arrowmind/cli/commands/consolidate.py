"""Draw lasting facts from memories that are recalled often, and move what is not to colder tiers.

Without a language model the central sentences are extracted. Every fact quotes its sources, and a whole run
can be taken back with --undo. The command gives way to all other processes. Settings: section
`consolidation`.
"""

from __future__ import annotations

import signal
import sys
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arrowmind.cli.engines import open_engine
from arrowmind.cli.failure import complain
from arrowmind.cli.groups import OptionGroup
from arrowmind.cli.render import bytes_text, print_table, write
from arrowmind.cli.session import Session
from arrowmind.cli.stores import open_store
from arrowmind.consolidate.associating import associate
from arrowmind.consolidate.opening import open_consolidator, pressure_of, schedule_of
from arrowmind.consolidate.schedule import Daemon, RecallGate, give_way, run_apart
from arrowmind.consolidate.unhurried import UnhurriedEncoder
from arrowmind.consolidate.wiring import StoreView
from arrowmind.errors import InvalidArgumentError
from arrowmind.memory.resting import resting
from arrowmind.memory.storage.paths import size_of
from arrowmind.memory.storage.recall_marks import RecallWatch
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arrowmind.consolidate import Consolidator, RunReport
    from arrowmind.consolidate.associating import Associated
    from arrowmind.memory import MemoryStore

__all__ = ["run"]

_log = get_logger(__name__)


@dataclass(frozen=True)
class ModelOptions(OptionGroup):
    """Which language model, and what it may spend."""

    title = "Language model"
    provider: Annotated[
        str | None, typer.Option("--provider", help="ollama, claude, openai, engine; '' extracts sentences.")
    ] = None
    llm: Annotated[str | None, typer.Option("--llm", help="Its name; with engine, a model folder.")] = None
    url: Annotated[str | None, typer.Option("--url", help="Its address.")] = None
    budget_tokens: Annotated[
        int | None, typer.Option("--budget-tokens", min=0, help="Tokens of this run.")
    ] = None
    budget_seconds: Annotated[
        float | None, typer.Option("--budget-seconds", min=0, help="Seconds of this run.")
    ] = None


def run(
    session: Session,
    store: Annotated[Path | None, typer.Option("--store", help="Store to consolidate.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Folder of the encoder.")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the groups; change nothing.")] = False,
    undo: Annotated[
        str | None, typer.Option("--undo", metavar="RUN", help="Take a run back; 'last' for the last one.")
    ] = None,
    daemon: Annotated[
        bool, typer.Option("--daemon", help="Stay, and run by consolidation.schedule and pressure.")
    ] = False,
    min_access: Annotated[
        int | None, typer.Option("--min-access", min=0, help="Memories recalled at least so often.")
    ] = None,
    llm: ModelOptions,
) -> None:
    if sum((dry_run, undo is not None, daemon)) > 1:
        raise InvalidArgumentError("give one of --dry-run, --undo and --daemon")

    _move_apart()
    session = _applied(session, llm, min_access)
    give_way()
    needs_encoder = not dry_run and undo is None
    with _opened(session, store, model if needs_encoder else None, encoder=needs_encoder) as work:
        if daemon:
            _stay(session, work)
        elif undo is not None:
            _undo(session, work.consolidator, None if undo == "last" else undo)
        else:
            _once(session, work, dry_run=dry_run)


def _move_apart() -> None:
    """Begins this command again in a session of its own where only that gives way; see `run_apart`."""
    # A program that calls the command line as a function is not to be run twice.
    program = Path(sys.argv[0])
    if program.stem == "arrowmind" or program.parts[-2:] == ("arrowmind", "__main__.py"):
        code = run_apart([sys.executable, "-m", "arrowmind", *sys.argv[1:]])
        if code is not None:
            raise typer.Exit(code)


@dataclass(frozen=True)
class _Work:
    """A store and what consolidates it."""

    path: Path
    store: MemoryStore
    consolidator: Consolidator


@contextmanager
def _opened(session: Session, store: Path | None, model: str | None, *, encoder: bool) -> Iterator[_Work]:
    """Both, until the block ends."""
    engine = UnhurriedEncoder(open_engine(session, model)) if encoder else None
    with open_store(session, store, engine) as opened:
        path = Path(opened.stats().path)
        with closing(StoreView(opened, engine)) as view:
            yield _Work(path, opened, open_consolidator(session.config.consolidation, view))


def _applied(session: Session, llm: ModelOptions, min_access: int | None) -> Session:
    given = {
        "provider": llm.provider,
        "model": llm.llm,
        "url": llm.url,
        "budget_tokens": llm.budget_tokens,
        "budget_seconds": llm.budget_seconds,
        "min_access": min_access,
    }
    known: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    section = replace(session.config.consolidation, **known)
    return replace(session, config=replace(session.config, consolidation=section))


def _once(session: Session, work: _Work, *, dry_run: bool) -> None:
    if dry_run:
        report = work.consolidator.plan()
        session.show(report.to_dict(), lambda: _tell(report, dry_run=True))
        return
    with session.progress() as progress, _unhurried(session, work):
        report, associated = work.consolidator.run(progress), associate(work.store, progress)
    _show(session, report, associated)


@contextmanager
def _unhurried(session: Session, work: _Work) -> Iterator[None]:
    """Rests while others recall."""
    share = session.config.consolidation.least_share
    if share == 1:
        yield
        return
    gate = RecallGate(RecallWatch(work.store.paths.recalls).is_busy, share)
    with resting(gate):
        yield
    _log.info("rested", store=str(work.path), seconds=round(gate.rested, 3))


def _show(session: Session, report: RunReport, associated: Associated, **more: str) -> None:
    def text() -> None:
        _tell(report, dry_run=False)
        write(f"{associated.linked} memories linked, {associated.maps} maps between kinds of content fitted")

    session.show({**more, **report.to_dict(), **asdict(associated)}, text)


def _tell(report: RunReport, *, dry_run: bool) -> None:
    if dry_run:
        rows = [(str(len(group.sources)), str(group.characters), group.first) for group in report.planned]
        if rows:
            print_table(rows, ("memories", "signs", "first"))
        write(f"{report.groups} groups of {report.sources} memories would be summarised by {report.made_by}")
        return
    write(
        f"run {report.run}: {report.derived} memories derived from {report.sources} by {report.made_by}, "
        f"{report.moved} moved to colder tiers ({report.seconds:.1f} s)"
    )
    dropped = ", ".join(f"{count} {reason}" for reason, count in report.dropped.items())
    for text in (
        f"thrown away: {dropped}" if dropped else "",
        f"{report.empty} groups gave nothing that could be proved" if report.empty else "",
        f"{report.failed} groups wait for another run" if report.failed else "",
        f"tokens: {report.tokens_in} read, {report.tokens_out} written" if report.tokens_out else "",
        f"stopped: {report.stopped}; the next run goes on" if report.stopped else "",
    ):
        if text:
            write(text)


def _undo(session: Session, consolidator: Consolidator, run: str | None) -> None:
    report = consolidator.undo(run)
    session.show(
        {"run": report.run, "changes": report.visible},
        lambda: write(f"run {report.run}: {report.visible} changes taken back"),
    )


def _stay(session: Session, work: _Work) -> None:
    settings = session.config.consolidation
    schedule, pressure = schedule_of(settings), pressure_of(settings)
    if schedule is None and pressure is None:
        raise InvalidArgumentError("--daemon: set consolidation.schedule or consolidation.pressure_high")

    def consolidate(reason: str) -> None:
        with _unhurried(session, work):
            report, associated = work.consolidator.run(), associate(work.store)
        _show(session, report, associated, reason=reason)

    daemon = Daemon(consolidate, schedule, pressure, lambda: size_of(work.path))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: daemon.stop())
    if not session.quiet:
        size = bytes_text(size_of(work.path))
        complain(f"{work.path} has {size}; the next run is at {daemon.next_due() or 'no fixed time'}")
    daemon.run()
