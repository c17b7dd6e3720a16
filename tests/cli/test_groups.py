"""Options that belong together reach a command as one value."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated

import typer

from arrowmind.cli.groups import OptionGroup, expand, gather


@dataclass(frozen=True)
class Colours(OptionGroup):
    title = "Colours"
    warm: Annotated[str | None, typer.Option("--warm", help="A warm one.")] = None
    count: Annotated[int, typer.Option("--count")] = 3


def command(name: str, colours: Colours, *, force: bool = False) -> None:
    raise NotImplementedError


PARAMETERS = list(inspect.signature(command, eval_str=True).parameters.values())


def test_typer_sees_the_fields_of_a_group_under_its_title():
    found = {parameter.name: parameter for parameter in expand(PARAMETERS)}
    assert list(found) == ["name", "warm", "count", "force"]
    assert {parameter.kind for parameter in found.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert (found["warm"].default, found["count"].default) == (None, 3)
    (option,) = found["warm"].annotation.__metadata__
    assert (option.rich_help_panel, option.help) == ("Colours", "A warm one.")


def test_the_command_gets_the_group_back():
    values = {"name": "a", "warm": "red", "count": 5, "force": True}
    assert gather(PARAMETERS, values) == {"name": "a", "colours": Colours("red", 5), "force": True}
