"""The frame around every command: options, exit codes, errors, help, what is imported."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
import typer

from arrowmind.cli import commands
from arrowmind.cli.app import arrange, command_names, find_forward
from arrowmind.cli.failure import guarded
from arrowmind.cli.main import run
from arrowmind.errors import WeightError

FILES = sorted(Path(commands.__path__[0]).glob("[a-z]*.py"))


def test_help_lists_every_command_with_the_first_line_of_its_file(shell):
    outcome = shell("--help", env={"COLUMNS": "200"})
    assert outcome.code == 0
    for file in FILES:
        line = ast.get_docstring(ast.parse(file.read_text())).partition("\n")[0]
        name = file.stem.replace("_", "-")
        assert any(name in row and line in row for row in outcome.stdout.splitlines())


@pytest.mark.parametrize("name", [name for name in command_names() if find_forward(name) is None])
def test_every_command_has_help_and_the_common_options(call, name):
    groups = {"config": ["show"], "memory": ["compact"]}
    outcome = call(name, *groups.get(name, []), "--help")
    assert outcome.code == 0
    for option in ("--json", "--strict", "--config", "--set", "--quiet", "--verbose", "--debug"):
        assert option in outcome.stdout


def test_a_forwarded_command_gets_its_words_as_they_are(monkeypatch, capsys):
    seen = []
    module = types.SimpleNamespace(main=lambda words: seen.append(words) or 3)
    monkeypatch.setitem(sys.modules, "arrowmind.bench", module)
    assert run(["bench", "--json", "out", "--help", "--", "-x"]) == 3
    assert seen == [["--json", "out", "--help", "--", "-x"]]
    monkeypatch.setitem(sys.modules, "arrowmind.bench", None)
    assert run(["bench"]) == 1
    assert "not part of this installation" in capsys.readouterr().err


def test_version(call):
    import arrowmind

    assert call("version").stdout == f"arrowmind {arrowmind.__version__}\n"
    assert call("--version").stdout == f"arrowmind {arrowmind.__version__}\n"
    assert call("version", "--json").json == {"version": arrowmind.__version__}


@pytest.mark.parametrize(
    ("words", "arranged"),
    [
        (["--json", "version"], ("version", ["version", "--json"])),
        (["-v", "--set", "a=b", "encode", "m"], ("encode", ["encode", "-v", "--set", "a=b", "m"])),
        (["--config=x", "config", "show"], ("config", ["config", "show", "--config=x"])),
        (["--json", "config"], ("config", ["config", "--json"])),
        (["--json", "encode", "m", "--", "-v"], ("encode", ["encode", "--json", "m", "--", "-v"])),
        (["--help"], (None, ["--help"])),
        (["--json"], (None, ["--json"])),
        (["--config"], (None, ["--config"])),
        ([], (None, [])),
        (["nothing"], ("nothing", ["nothing"])),
    ],
)
def test_common_options_may_stand_before_the_command(words, arranged):
    assert arrange(words) == arranged


def test_unknown_command_suggests(capsys):
    assert run(["docter"]) == 2
    assert "did you mean 'doctor'" in capsys.readouterr().err
    assert run(["zzz"]) == 2
    assert "did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["version", "extra"],
        ["version", "--nothing"],
        ["version", "--set", "x"],
        ["--nothing"],
        ["config", "sho"],
    ],
)
def test_usage_errors_exit_with_2(words):
    assert run(words) == 2


def test_an_invalid_setting_is_an_error_in_words_and_json(call):
    outcome = call("version", "--json", "--set", "device.threads=many")
    assert outcome.code == 1
    assert outcome.json["error"]["type"] == "ConfigurationError"
    assert "device.threads = 'many'" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert "Traceback" in call("version", "--debug", "--set", "device.threads=many").stderr


def test_problems_are_logged_and_strict_refuses(call):
    Path("arrowmind.yaml").write_text("device: {threads: many}")
    outcome = call("version")
    assert (outcome.code, "device.threads" in outcome.stderr) == (0, True)
    assert call("version", "--strict").code == 1


@pytest.mark.parametrize(
    ("error", "code", "part"),
    [
        (WeightError("file 'x' is short; convert again"), 1, "error: file 'x' is short; convert again"),
        (OSError(28, "No space left on device", "models/x"), 1, "No space left on device (models/x)"),
        (MemoryError(), 1, "out of memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_goes_wrong_becomes_an_exit_code(capsys, error, code, part):
    with pytest.raises(typer.Exit) as caught, guarded(as_json=False, debug=False):
        raise error
    assert caught.value.exit_code == code
    assert part in capsys.readouterr().err


def test_a_bug_keeps_its_trace(capsys):
    with pytest.raises(ZeroDivisionError), guarded(as_json=False, debug=False):
        1 / 0  # noqa: B018


def test_messages_cannot_steer_the_terminal(capsys):
    with pytest.raises(typer.Exit), guarded(as_json=False, debug=False):
        raise WeightError("name \x1b[2J\x07\ud800\u202e")
    assert capsys.readouterr().err == "arrowmind: error: name \\x1b[2J\\x07\\ud800\\u202e\n"


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "arrowmind", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_a_closed_pipe_is_no_error_message():
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        [sys.executable, "-m", "arrowmind", "config", "show"], stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 141


def test_interruption(shell):
    code = (
        "import os, signal, sys; from arrowmind.cli.commands import version; from arrowmind.cli import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # who runs the tests may ignore it
        "version.run = lambda session: os.kill(os.getpid(), signal.SIGINT)\n"
        "version.run.__annotations__ = {'session': version.Session}\n"
        "sys.exit(main(['version']))"
    )
    outcome = shell(code=code)
    assert (outcome.code, outcome.stderr) == (130, "arrowmind: interrupted\n")


def test_help_and_version_are_quick_and_import_little(shell):
    start_time = time.monotonic()
    assert shell("--help").code == 0
    assert time.monotonic() - start_time < 5
    code = (
        "import sys; from arrowmind.cli import main; main(['version'])\n"
        "heavy = ('rich', 'numpy', 'structlog', 'yaml', 'pyarrow', 'tokenizers', 'prometheus_client')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    assert shell(code=code).stdout.splitlines()[-1] == "[]"


def test_no_colour_when_not_a_terminal(shell):
    Path("arrowmind.yaml").write_text("device: {threads: many}")
    for words in (["--help"], ["config", "show"], ["version", "--nothing"]):
        outcome = shell(*words, env={"TERM": "xterm-256color"})
        assert "\x1b" not in outcome.stdout + outcome.stderr


def test_main_module(shell):
    assert shell("version", "--json").json["version"]
    assert signal.getsignal(signal.SIGINT) is not None


def test_interruption_and_a_closed_pipe_outside_a_command(monkeypatch):
    for error, code in ((KeyboardInterrupt, 130), (BrokenPipeError, 141)):

        def fail(words, error=error):
            raise error

        monkeypatch.setattr("arrowmind.cli.main._run", fail)
        monkeypatch.setattr("arrowmind.cli.main.quiet_output", lambda: None)
        assert run(["version"]) == code
