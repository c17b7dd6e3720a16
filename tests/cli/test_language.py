"""`arrowmind generate` and `arrowmind chat`, with a small model."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest
from tests.cli.conftest import PACKAGE
from tests.engine.writers import write_bytes_model

from arrowmind import ArrowEngine
from arrowmind.cli.conversation import Conversation
from arrowmind.cli.speeds import speed_line
from arrowmind.errors import InvalidArgumentError
from arrowmind.generate import Timings

SAMPLED = {"temperature": 4.0, "seed": 5, "max_tokens": 20, "ignore_eos": True}
WORDS = ["--temperature", "4", "--seed", "5", "-n", "20", "--ignore-eos"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(write_bytes_model(tmp_path_factory.mktemp("models") / "bytes"))


@pytest.fixture(scope="module")
def expected(folder):
    engine = ArrowEngine(folder)
    yield lambda prompt, **more: engine.generate(prompt, **{**SAMPLED, **more})
    engine.close()


def test_generate_prints_the_text_and_tells_its_speed(call, folder, expected):
    done = call("generate", folder, "the", "cat", *WORDS, "--json")
    assert done.code == 0
    found = expected("the cat")
    assert done.json["text"] == found.text
    assert done.json["token_ids"] == list(found.token_ids)
    assert done.json["finish_reason"] == "length"
    assert "20 tokens, " in done.stderr
    assert call("generate", folder, "the", *WORDS, "--quiet").stderr == ""


def test_generate_streams_what_it_would_print(shell, folder, expected):
    done = shell("generate", folder, "the cat", *WORDS, env={"PYTHONIOENCODING": "utf-8"})
    assert done.code == 0
    from arrowmind.cli.render import printable

    assert done.stdout == printable(expected("the cat").text) + "\n"
    assert "tokens/s" in done.stderr


def test_prompts_from_files_and_pipes(shell, call, folder, expected, tmp_path):
    (tmp_path / "prompt.txt").write_text("the cat\n")
    text = expected("the cat").text
    assert call("generate", folder, "--file", "prompt.txt", *WORDS, "--json").json["text"] == text
    piped = shell("generate", folder, *WORDS, "--json", stdin=b"the cat\n")
    assert piped.json["text"] == text
    both = call("generate", folder, "x", "--file", "prompt.txt")
    assert both.code == 1
    assert "use one of the two" in both.stderr
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    assert "not UTF-8" in call("generate", folder, "--file", "latin.txt").stderr


def test_a_chat_message_and_constraints(call, folder, expected, tmp_path):
    pytest.importorskip("llguidance")
    messages = [{"role": "system", "content": "be"}, {"role": "user", "content": "the cat"}]
    done = call("generate", folder, "--chat", "--system", "be", "the cat", *WORDS, "--json")
    assert done.json["text"] == expected(messages).text
    (tmp_path / "schema.json").write_text('{"type": "boolean"}')
    done = call("generate", folder, "x", "--json-schema", "schema.json", "--json")
    assert done.json["text"] in ("true", "false")
    (tmp_path / "grammar").write_text('root ::= "yes" | "no"')
    assert call("generate", folder, "x", "--grammar", "grammar", "--json").json["text"] in ("yes", "no")
    assert "cannot be read" in call("generate", folder, "x", "--grammar", "nothing").stderr
    logprobs = call("generate", folder, "x", "-n", "2", "--logprobs", "1", "--json").json["logprobs"]
    assert len(logprobs) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--temperature", "nan"], "temperature is nan"),
        (["--top-p", "-1"], "top_p is -1"),
        (["--max-tokens", "0"], "max_tokens is 0"),
        (["--draft", "--min-p", "2"], "min_p is 2"),
    ],
)
def test_values_that_are_refused(call, folder, words, message):
    done = call("generate", folder, "x", *words)
    assert done.code == 1
    assert message in done.stderr


def test_a_piped_conversation(shell, folder, expected, tmp_path):
    lines = [
        "the cat",
        "/stats",
        "/nothing",
        "//sat",
        "/save talk.json",
        "/reset",
        "a dog",
        "/load talk.json",
    ]
    lines += [
        "/load talk.json",
        "/save talk",
        "/load",
        "/load missing.json",
        "/system be",
        "/system",
        "/help",
        "/quit",
        "never",
    ]
    done = shell("chat", folder, *WORDS, stdin="\n".join(lines).encode(), env={"PYTHONIOENCODING": "utf-8"})
    assert done.code == 0, done.stderr
    assert "tokens/s" in done.stdout
    assert "there is no command /nothing" in done.stderr
    assert "/load needs the name of a file" in done.stderr
    assert "missing.json cannot be read" in done.stderr
    messages = json.loads((tmp_path / "talk.json").read_text())["messages"]
    first = expected([{"role": "user", "content": "the cat"}]).text
    assert messages[0] == {"role": "user", "content": "the cat"}
    assert messages[1] == {"role": "assistant", "content": first}
    assert messages[2]["content"] == "/sat"
    assert messages[3]["content"] == expected(messages[:3]).text
    assert json.loads((tmp_path / "talk").read_text())["messages"] == messages


def test_a_conversation_as_json_and_from_a_file(shell, folder, tmp_path):
    messages = [{"role": "system", "content": "be"}, {"role": "user", "content": "a"}]
    (tmp_path / "talk.json").write_text(json.dumps({"messages": messages}))
    done = shell("chat", folder, "--load", "talk.json", "-n", "3", "--json", stdin=b"b\n")
    assert [message["role"] for message in done.json["messages"]] == ["system", "user", "user", "assistant"]


def test_a_message_that_is_too_long_does_not_end_the_conversation(shell, folder):
    done = shell("chat", folder, "-n", "3", "--json", stdin=b"x" * 500 + b"\nshort\n")
    assert "and the model reads" in done.stderr
    assert done.json["messages"][0]["content"] == "short"


def test_a_model_that_cannot_chat_says_so_at_once(call, tmp_path):
    folder = write_bytes_model(tmp_path / "plain", template=None)
    done = call("chat", str(folder))
    assert done.code == 1
    assert "has no chat template" in done.stderr


def heed_interrupts():
    """A process that is started in the background by a shell ignores them, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """`arrowmind chat` at a terminal."""

    def __init__(self, *words, cwd):
        self.side, other = pty.openpty()
        env = {**os.environ, "PYTHONPATH": str(PACKAGE), "TERM": "dumb"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "arrowmind", "chat", *words],
            stdin=other,
            stdout=other,
            stderr=other,
            env=env,
            cwd=cwd,
            start_new_session=True,
            preexec_fn=heed_interrupts,
        )
        os.close(other)
        self.seen = b""

    def until(self, text, seconds=60, interrupting=False):
        """Reads until `text` has come.

        An interrupt is repeated after a silent second: one between a prompt and the wait for a key is lost on
        `input()`.
        """
        end = time.monotonic() + seconds
        silent = True
        while text not in self.seen and time.monotonic() < end:
            if interrupting and silent:
                self.process.send_signal(signal.SIGINT)
            silent = not select.select([self.side], [], [], 1.0)[0]
            if not silent:
                try:
                    self.seen += os.read(self.side, 4096)
                except OSError:
                    break
        assert text in self.seen, self.seen
        self.seen = self.seen.partition(text)[2]

    def send(self, text):
        os.write(self.side, text)

    def end(self):
        self.process.kill()
        self.process.wait()
        os.close(self.side)


@pytest.fixture
def terminal(folder, tmp_path):
    opened = Terminal(folder, "--ignore-eos", "-n", "100000", cwd=tmp_path)
    yield opened
    opened.end()


def test_ctrl_c_stops_an_answer_and_ctrl_d_leaves(terminal):
    terminal.until(b"> ")
    terminal.send(b"the cat\n")
    terminal.until(b"the cat\r\n")
    time.sleep(0.05)
    terminal.until(b"> ", interrupting=True)
    terminal.until(b"> ", interrupting=True)  # at the prompt it begins a new line
    terminal.send(b"/stats\n")
    terminal.until(b"tokens/s")
    terminal.until(b"> ")
    terminal.send(b"\x04")
    assert terminal.process.wait(60) == 0


def test_conversations_that_cannot_be_loaded(tmp_path):
    talk = Conversation("be")
    talk.add("user", "a")
    for content, message in (
        ("{", "cannot be read"),
        ("[]", "holds no conversation"),
        ("{}", "messages is NoneType"),
        ('{"messages": [{"role": 3}]}', "role is 3"),
    ):
        path = tmp_path / "talk"
        path.write_text(content)
        with pytest.raises(InvalidArgumentError, match=message):
            talk.load(path)
    assert talk.messages == [{"role": "system", "content": "be"}, {"role": "user", "content": "a"}]


def test_the_line_of_speeds():
    timings = Timings(5, 0.5, 11, 2.0, 0.75, drafted=4, accepted=3)
    assert speed_line(timings) == (
        "11 tokens, 5.0 tokens/s; prompt 5 tokens, first token after 0.75 s; "
        "3 of 4 proposed tokens were right"
    )


def test_a_budget_for_generate_is_kept_or_refused(call, folder, expected):
    done = call("generate", folder, "the cat", *WORDS, "--json", "--ram", "64GiB")
    assert done.json["text"] == expected("the cat").text
    refused = call("generate", folder, "the cat", "--ram", "1MiB")
    assert refused.code != 0
    assert "give at least" in refused.stderr


def test_plan_tells_what_a_model_needs(call, folder):
    done = call("plan", folder, "--ram", "64GiB", "--json")
    assert done.code == 0, done.stderr
    assert done.json["moving"] == 0
    assert done.json["tokens_per_second"] > 0
    shown = call("plan", folder, "--ram", "64GiB")
    assert "bottleneck" in shown.stdout
    assert "68.7 GB" in shown.stdout


def test_stats_tell_what_was_foretold_and_measured(call, shell, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    keys = ["--ram", "64GiB", "--set", "residency.max_layers=1", "--stats"]
    done = call("generate", folder, "the cat", *WORDS, "--json", *keys)
    assert done.code == 0, done.stderr
    stats = done.json["stats"]
    assert stats["comparison"]["tokens_per_second"] > 0
    assert stats["comparison"]["foretold_first_seconds"] > 0
    assert stats["residency"]["evictions"] > 0
    assert "foretold" in done.stderr
    assert "parts were there" in done.stderr
    done = shell(
        "chat", folder, *WORDS, *keys, stdin=b"the cat\n/stats\n", env={"XDG_CACHE_HOME": str(tmp_path)}
    )
    assert done.code == 0
    assert "foretold" in done.stderr
    assert "foretold" in done.stdout
    done = call("generate", folder, "the cat", *WORDS, "--json", "--stats")
    assert done.json["stats"] == {"comparison": None, "residency": None, "device": None}
    assert "nothing was foretold" in done.stderr
    assert "stats" not in call("generate", folder, "the cat", *WORDS, "--json").json


INTERRUPTED = """
import os, signal, sys
import arrowmind.cli.engines as engines
from arrowmind.cli.main import run
signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests may ignore it
opened = engines.ArrowEngine
def interrupted(*words, on_progress, **more):
    def told(done, total, what):
        if what == "layers":
            os.kill(os.getpid(), signal.SIGINT)
    return opened(*words, on_progress=told, **more)
engines.ArrowEngine = interrupted
sys.exit(run(sys.argv[1:]))
"""


def test_an_interrupt_while_a_model_opens_ends_the_command(shell, folder):
    done = shell("generate", folder, "the cat", code=INTERRUPTED)
    assert done.code == 130
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_profile_changes_what_is_planned_and_run(call, folder, expected):
    done = call("plan", folder, "--ram", "64GiB", "--profile", "high_throughput", "--json")
    assert done.json["profile"] == "high_throughput"
    assert done.json["settings"]["generation.prefill_chunk"] == 2048
    usual = call("plan", folder, "--ram", "64GiB", "--json")
    assert usual.json["scratch"] < done.json["scratch"]
    chosen = ["--profile", "high_throughput", "--set", "generation.prefill_chunk=512"]
    shown = call("plan", folder, "--ram", "64GiB", *chosen).stdout
    assert "profile high_throughput" in shown
    line = next(line for line in shown.splitlines() if "prefill_chunk" in line)
    assert line.split() == ["generation.prefill_chunk", "512", "512", "argument"]
    for profile in ("low_latency", "high_throughput"):
        found = call("generate", folder, "the cat", *WORDS, "--json", "--profile", profile)
        assert found.json["text"] == expected("the cat").text
    refused = call("generate", folder, "the cat", "--profile", "fast")
    assert "low_latency, balanced, high_throughput" in refused.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [([], "--ram"), (["--ram", "much"], "such as 4GiB"), (["--ram", "1MiB"], "give at least")],
)
def test_plan_without_a_possible_budget_is_an_error(call, folder, options, message):
    done = call("plan", folder, *options)
    assert done.code != 0
    assert message in done.stderr


READ = ["--set", "streaming.block_tokens=16", "--window", "64", "--recalled", "2", "--json", "-n", "5"]


def test_a_long_text_is_read_first(call, shell, folder, tmp_path):
    text = " ".join(f"word{i * i % 97} and {i}" for i in range(300))
    (tmp_path / "long.txt").write_text(text)
    done = call("generate", folder, "word", "--read", "long.txt", "--store", "kept", *READ)
    assert done.code == 0
    assert done.json["read"]["tokens"] > 1000
    assert done.json["read"]["cached_tokens"] <= 16 + 2 * 16 + 64
    assert list((tmp_path / "kept").glob("*.arrow"))
    piped = shell("generate", folder, "word", "--read", "-", *READ, stdin=text.encode())
    assert piped.json["token_ids"] == done.json["token_ids"]
    assert "without --read" in call("generate", folder, "x", "--window", "64").stderr
    assert "streaming.window" in call("generate", folder, "x", "--read", "long.txt", "--window", "-1").stderr
    assert "cannot be read" in call("generate", folder, "x", "--read", "none.txt", *READ).stderr
