"""Options of commands that generate texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  typer evaluates annotations
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from arrowmind.cli.engines import open_engine
from arrowmind.cli.groups import OptionGroup
from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from arrowmind.cli.session import Session
    from arrowmind.engine.drafting import DraftModel

__all__ = ["ConstraintOptions", "SamplingOptions"]

_LARGEST_FILE = 1 << 20


@dataclass(frozen=True)
class SamplingOptions(OptionGroup):
    """How tokens are chosen and when a text ends."""

    title: ClassVar[str] = "Sampling"
    max_tokens: Annotated[int, typer.Option("--max-tokens", "-n", help="Most tokens to generate.")] = 128
    temperature: Annotated[
        float, typer.Option("--temperature", "-t", help="0 takes the most probable token always.")
    ] = 0.0
    top_k: Annotated[int, typer.Option("--top-k", help="Only the K most probable tokens; 0 is all.")] = 0
    top_p: Annotated[
        float, typer.Option("--top-p", help="Only the most probable tokens that make up P together.")
    ] = 1.0
    min_p: Annotated[
        float, typer.Option("--min-p", help="Only tokens at least P times as probable as the first.")
    ] = 0.0
    repetition_penalty: Annotated[
        float, typer.Option("--repetition-penalty", help="Above 1: against tokens that were there.")
    ] = 1.0
    seed: Annotated[int | None, typer.Option("--seed", help="Repeats what was drawn by chance.")] = None
    stop: Annotated[
        list[str] | None, typer.Option("--stop", help="End before this text; may be repeated.")
    ] = None
    ignore_eos: Annotated[bool, typer.Option("--ignore-eos", help="Go on where the model would end.")] = False
    draft: Annotated[
        bool, typer.Option("--draft", help="Propose what followed before; changes the speed alone.")
    ] = False

    draft_model: Annotated[
        str | None, typer.Option("--draft-model", help="Folder of a smaller model that proposes.")
    ] = None

    def options(self, session: Session) -> dict[str, Any]:
        """As the engine takes them; a draft model is opened.

        Raises:
            WeightError: The draft model cannot be used.
        """
        return {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
            "min_p": self.min_p,
            "repetition_penalty": self.repetition_penalty,
            "seed": self.seed,
            "stop": self.stop or (),
            "ignore_eos": self.ignore_eos,
            "draft": self._draft(session),
        }

    def _draft(self, session: Session) -> str | DraftModel | None:
        if self.draft_model is None:
            return "prompt_lookup" if self.draft else None
        if self.draft:
            raise InvalidArgumentError("--draft and --draft-model were given; use one of the two")
        return open_engine(session, self.draft_model).draft_model


@dataclass(frozen=True)
class ConstraintOptions(OptionGroup):
    """What a text must follow."""

    title: ClassVar[str] = "Constraint"
    json_schema: Annotated[
        Path | None, typer.Option("--json-schema", help="File of a JSON schema that the text satisfies.")
    ] = None
    grammar: Annotated[
        Path | None, typer.Option("--grammar", help="File of a grammar, GBNF or Lark, that it follows.")
    ] = None
    regex: Annotated[
        str | None, typer.Option("--regex", help="Regular expression that it matches as a whole.")
    ] = None

    def options(self) -> dict[str, Any]:
        """As the engine takes them.

        Raises:
            InvalidArgumentError: A file cannot be read.
        """
        return {
            "json_schema": None if self.json_schema is None else _read(self.json_schema),
            "grammar": None if self.grammar is None else _read(self.grammar),
            "regex": self.regex,
        }


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
        if len(data) > _LARGEST_FILE:
            raise InvalidArgumentError(f"{path} is larger than {_LARGEST_FILE} bytes; give a smaller one")
        return data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(f"{path} cannot be read ({error}); name a file of UTF-8 text") from error
