"""Talk with a language model.

Lines are messages, also those of a pipe; `/help` lists the commands. Ctrl-C stops an answer, Ctrl-D leaves.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from arrowmind.cli.budget import RunOptions
from arrowmind.cli.sampling import SamplingOptions
from arrowmind.cli.session import Session
from arrowmind.cli.speeds import run_facts
from arrowmind.cli.talking import Talk

__all__ = ["run"]


def run(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder.")],
    *,
    system: Annotated[str, typer.Option("--system", help="What the system says first.")] = "",
    load: Annotated[Path | None, typer.Option("--load", help="Go on with this saved conversation.")] = None,
    budget: RunOptions,
    sampling: SamplingOptions,
) -> None:
    session = budget.applied(session)
    engine = budget.open(session, model)
    talk = Talk(
        engine,
        sampling.options(session),
        system,
        silent=session.as_json,
        stats=budget.stats and not session.quiet,
    )
    _ = engine.generator.prompts.template  # a model that cannot chat is told now, not after a message
    if load is not None:
        talk.conversation.load(load)
    talk.run(interactive=sys.stdin.isatty())
    if session.as_json:
        stats = {"stats": run_facts(engine)} if budget.stats else {}
        session.show({"model": model, "messages": talk.conversation.messages, **stats}, lambda: None)
    engine.close()
