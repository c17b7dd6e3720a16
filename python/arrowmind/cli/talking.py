"""The loop of `arrowmind chat`: a line is a message, or a command that begins with `/`."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.cli.conversation import Conversation
from arrowmind.cli.failure import complain
from arrowmind.cli.render import write, write_part
from arrowmind.cli.speeds import run_lines, speed_line
from arrowmind.errors import InvalidArgumentError, OptimizationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from arrowmind.engine import ArrowEngine
    from arrowmind.generate import Timings

__all__ = ["Talk"]

_PROMPT = "> "
_LONGEST_LINE = 1 << 24


class Talk:
    """A conversation at a terminal or through a pipe."""

    def __init__(
        self,
        engine: ArrowEngine,
        options: dict[str, Any],
        system: str = "",
        *,
        silent: bool = False,
        stats: bool = False,
    ) -> None:
        """Nothing was said yet.

        Args:
            engine: Answers.
            options: Of each answer.
            system: What the system says first.
            silent: Print no answers.
            stats: Tell of each answer on stderr how fast it was.
        """
        self.conversation = Conversation(system)
        self._engine, self._options = engine, options
        self._silent, self._tells = silent, stats
        self._last: Timings | None = None
        self._commands: dict[str, tuple[str, Callable[[str], None]]] = {
            "help": ("this list", self._help),
            "reset": ("forget the conversation, but what the system says", self._reset),
            "system": ("TEXT: what the system says first; nothing takes it away", self._system),
            "save": ("FILE: write the conversation", self._save),
            "load": ("FILE: go on with a saved conversation", self._load),
            "stats": ("tokens and speed of the last answer", self._stats),
            "quit": ("leave; Ctrl-D does, too", self._help),
        }

    def run(self, *, interactive: bool) -> None:
        """Reads lines until the end of the input or `/quit`."""
        if interactive:
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401, PLC0415  edits the line that input() reads
        while True:
            try:
                line = self._read(interactive=interactive)
            except KeyboardInterrupt:
                if not interactive:
                    raise
                write()
                continue
            if line is None or line.strip() == "/quit":
                return
            if line.strip():
                self._take(line.strip())

    def _take(self, line: str) -> None:
        """One message or command; what goes wrong is told, and the conversation goes on."""
        try:
            if line.startswith("/") and not line.startswith("//"):
                self._command(line[1:])
            else:
                self._answer(line.removeprefix("/") if line.startswith("//") else line)
        except OptimizationError as error:
            complain(f"error: {error}")

    def _answer(self, message: str) -> None:
        self.conversation.add("user", message)
        stream = None
        try:
            stream = self._engine.stream(self.conversation.messages, **self._options)
            for delta in stream:
                if not self._silent:
                    write_part(delta.text)
        except KeyboardInterrupt:  # what came so far stays
            if stream is not None:
                stream.close()
        except OptimizationError:
            self.conversation.take_back()
            raise
        finally:
            if not self._silent:
                write()
        if stream is None:
            self.conversation.take_back()
            return
        self._last = stream.generation.timings
        self.conversation.add("assistant", stream.generation.text)
        if self._tells:
            print("\n".join([speed_line(self._last), *run_lines(self._engine)]), file=sys.stderr)

    def _command(self, line: str) -> None:
        name, _, argument = line.partition(" ")
        if name not in self._commands:
            raise InvalidArgumentError(f"there is no command /{name}; /help lists them")
        self._commands[name][1](argument.strip())

    def _help(self, _: str) -> None:
        for name, (what, _call) in self._commands.items():
            write(f"/{name:7} {what}")
        write("A message that begins with / is written with //.")

    def _reset(self, _: str) -> None:
        self.conversation.reset()

    def _system(self, text: str) -> None:
        self.conversation.system = text

    def _save(self, name: str) -> None:
        self.conversation.save(_path("save", name))

    def _load(self, name: str) -> None:
        self.conversation.load(_path("load", name))
        write(f"{len(self.conversation.messages)} messages")

    def _stats(self, _: str) -> None:
        if self._last is None:
            write("no answer yet")
            return
        write("\n".join([speed_line(self._last), *run_lines(self._engine)]))

    @staticmethod
    def _read(*, interactive: bool) -> str | None:
        """The next line; None at the end."""
        if interactive:
            try:
                return input(_PROMPT)
            except EOFError:
                write()
                return None
        line = sys.stdin.buffer.readline(_LONGEST_LINE)
        return line.decode("utf-8", "replace") if line else None


def _path(command: str, name: str) -> Path:
    if not name:
        raise InvalidArgumentError(f"/{command} needs the name of a file")
    return Path(name).expanduser()
