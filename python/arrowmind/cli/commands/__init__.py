"""One file per command, found by its name (`_` reads as `-`).

The first line of the module's docstring is its line in `arrowmind --help`. The module has a function
`run(session, ...)` with typer annotations, or, for a command with subcommands, a dict `commands` from name to
such a function. Typer evaluates the annotations, so what they name is imported at run time. A command that
parses its own words has a function `forward(words)` instead, which returns the exit code.
"""
