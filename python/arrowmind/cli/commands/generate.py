"""Generate text that follows a prompt.

The prompt is given as words, in a file, or on standard input. The text is printed as it comes; standard error
tells its speed.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arrowmind.cli.budget import RunOptions
from arrowmind.cli.reading import ReadingOptions
from arrowmind.cli.render import write, write_part
from arrowmind.cli.sampling import ConstraintOptions, SamplingOptions
from arrowmind.cli.session import Session
from arrowmind.cli.speeds import run_facts, run_lines, speed_line
from arrowmind.cli.texts import read_whole

if TYPE_CHECKING:
    from arrowmind.engine import ArrowEngine
    from arrowmind.engine.prompts import Prompt
    from arrowmind.engine.reading import TextReader
    from arrowmind.generate import Generation

__all__ = ["run"]


def run(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder.")],
    prompt: Annotated[list[str] | None, typer.Argument(metavar="[PROMPT]...", help="The prompt.")] = None,
    *,
    file: Annotated[
        Path | None, typer.Option("--file", help="Read the prompt from this file; - is stdin.")
    ] = None,
    chat: Annotated[
        bool, typer.Option("--chat", help="The prompt is a message: use the model's chat template.")
    ] = False,
    system: Annotated[str, typer.Option("--system", help="With --chat: what the system says first.")] = "",
    logprobs: Annotated[
        int | None, typer.Option("--logprobs", help="With --json: this many probable tokens at each place.")
    ] = None,
    budget: RunOptions,
    sampling: SamplingOptions,
    constraint: ConstraintOptions,
    reading: ReadingOptions,
) -> None:
    session = budget.applied(session)
    text = read_whole(prompt or [], file)
    asked: Prompt = _messages(text, system) if chat or system else text
    options = {**sampling.options(session), **constraint.options(), "logprobs": logprobs}
    engine = budget.open(session, model)
    reader = reading.open(engine, session)
    with reader or nullcontext():
        writer = reader or engine
        found = writer.generate(asked, **options) if session.as_json else _print(writer, asked, options)
        read = {} if reader is None else {"read": asdict(reader.stats)}
    stats = {"stats": run_facts(engine)} if budget.stats else {}
    session.show({"model": model, **asdict(found), **stats, **read}, write)
    if not session.quiet:
        told = [speed_line(found.timings), *(run_lines(engine) if budget.stats else [])]
        print("\n".join(told), file=sys.stderr)
    engine.close()


def _messages(text: str, system: str) -> list[dict[str, Any]]:
    first = [{"role": "system", "content": system}] if system else []
    return [*first, {"role": "user", "content": text}]


def _print(engine: ArrowEngine | TextReader, prompt: Prompt, options: dict[str, Any]) -> Generation:
    with engine.stream(prompt, **options) as stream:
        for delta in stream:
            write_part(delta.text)
        return stream.generation
