"""The guide tells of every command and option what the help tells."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer.main

from arrowmind.cli.app import build_app, command_names, find_forward
from arrowmind.cli.options import FLAGS, VALUE_OPTIONS

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "command-line.md"
COMMON = {*FLAGS, *VALUE_OPTIONS, "--help", "-h"}


def commands(name):
    """Full name and click command of a command, or of each of its subcommands."""
    command = typer.main.get_command(build_app(name)).commands[name]
    if not hasattr(command, "commands"):
        return [(name, command)]
    return [(f"{name} {sub}", found) for sub, found in command.commands.items()]


def rows(command):
    """The table of a command's own arguments and options."""
    found = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            names = [parameter.metavar]
        else:
            names = [*parameter.opts, *parameter.secondary_opts]
        if not set(names) & COMMON:
            text = f"`{'`, `'.join(names)}`"
            found.append(f"| {text} | {parameter.help} |")
    return found


def section(name):
    lines = GUIDE.read_text().splitlines()
    start = lines.index(f"### {name}")
    end = next((i for i in range(start + 1, len(lines)) if lines[i].startswith("#")), len(lines))
    return lines[start:end]


@pytest.mark.parametrize("name", [name for name in command_names() if find_forward(name) is None])
def test_every_command_is_described_as_in_its_help(name):
    for full_name, command in commands(name):
        expected = rows(command)
        found = [line for line in section(full_name) if line.startswith("| `")]
        assert found == expected, f"the table of {full_name} should read:\n" + "\n".join(expected)


def test_the_common_options_are_described():
    text = GUIDE.read_text()
    for name in COMMON - {"-h", "--help", "-vv"}:
        assert f"`{name}" in text


def test_every_described_command_exists():
    known = {full_name for name in command_names() for full_name, _ in commands(name)}
    described = {line[4:] for line in GUIDE.read_text().splitlines() if line.startswith("### ")}
    assert described == known
