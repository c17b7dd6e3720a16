"""Talk with a language model.

Lines are messages, also those of a pipe; `/help` lists the commands. Ctrl-C stops an answer, Ctrl-D leaves.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from arrowmind.cli.budget import BudgetOptions
from arrowmind.cli.engines import open_engine
from arrowmind.cli.sampling import SamplingOptions
from arrowmind.cli.session import Session
from arrowmind.cli.talking import Talk

__all__ = ["run"]


def run(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder.")],
    *,
    system: Annotated[str, typer.Option("--system", help="What the system says first.")] = "",
    load: Annotated[Path | None, typer.Option("--load", help="Go on with this saved conversation.")] = None,
    budget: BudgetOptions,
    sampling: SamplingOptions,
) -> None:
    session = budget.applied(session)
    engine = open_engine(session, model, ram=budget.ram)
    talk = Talk(engine, sampling.options(session), system, silent=session.as_json)
    _ = engine.generator.prompts.template  # a model that cannot chat is told now, not after a message
    if load is not None:
        talk.conversation.load(load)
    talk.run(interactive=sys.stdin.isatty())
    if session.as_json:
        session.show({"model": model, "messages": talk.conversation.messages}, lambda: None)
