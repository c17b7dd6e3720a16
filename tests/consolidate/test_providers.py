"""Providers speak their interfaces, and whatever the other side does ends in one clear error."""

from __future__ import annotations

import os
import random
import socket
import time

import pytest
from tests.consolidate.fake_server import (
    FakeServer,
    breaks_off,
    drips,
    drips_body,
    hangs_up,
    never_ends,
    sends,
    sleeps,
)

from arrowmind.consolidate import open_provider, provider_names
from arrowmind.consolidate.remote import Completion, Message, Patience, ProviderSettings, Retrying
from arrowmind.consolidate.remote.http import Address
from arrowmind.consolidate.remote.keys import api_key
from arrowmind.errors import ConfigurationError, ProviderError

SCHEMA = {"type": "object", "properties": {"facts": {"type": "array"}}, "required": ["facts"]}
MESSAGES = [Message("system", "Be short."), Message("user", "Hello")]
DATA = {"facts": [1]}
TEXT = '{"facts": [1]}'

OLLAMA = {
    "message": {"role": "assistant", "content": TEXT},
    "done_reason": "stop",
    "prompt_eval_count": 7,
    "eval_count": 5,
}
CLAUDE = {
    "content": [{"type": "text", "text": "So:"}, {"type": "tool_use", "name": "answer", "input": DATA}],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 7, "output_tokens": 5},
}
OPENAI = {
    "choices": [{"message": {"content": TEXT}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 5},
}
ANSWERS = {"ollama": OLLAMA, "claude": CLAUDE, "openai": OPENAI}
REMOTE = sorted(ANSWERS)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret-1")
    monkeypatch.setenv("OPENAI_API_KEY", "secret-2")


def opened(name, server, **settings):
    return open_provider(name, ProviderSettings(model="small", url=server.url, **settings))


def ask(provider, schema=SCHEMA, timeout=5.0):
    return provider.complete(MESSAGES, schema, max_tokens=100, timeout=timeout)


def test_the_providers():
    assert provider_names() == ["claude", "engine", "ollama", "openai"]
    with pytest.raises(ConfigurationError, match="'gpt' is unknown; use one of: claude, engine"):
        open_provider("gpt", ProviderSettings())


@pytest.mark.parametrize("name", REMOTE)
def test_an_answer_that_follows_the_schema(name):
    with FakeServer(sends(ANSWERS[name])) as server:
        provider = opened(name, server)
        found = ask(provider)
    assert found.data == DATA
    assert (found.tokens_in, found.tokens_out) == (7, 5)
    assert provider.name == f"{name}:small"


def test_how_ollama_is_asked():
    with FakeServer(sends(OLLAMA)) as server:
        ask(opened("ollama", server))
    ((path, _, body),) = server.requests
    assert path == "/api/chat"
    assert body["format"] == SCHEMA
    assert body["stream"] is False
    assert body["options"] == {"temperature": 0, "num_predict": 100}
    assert body["messages"][0] == {"role": "system", "content": "Be short."}


def test_how_claude_is_asked():
    with FakeServer(sends(CLAUDE)) as server:
        ask(opened("claude", server))
    ((path, headers, body),) = server.requests
    assert path == "/v1/messages"
    assert headers["x-api-key"] == "secret-1"
    assert body["system"] == "Be short."
    assert body["messages"] == [{"role": "user", "content": "Hello"}]
    assert body["tools"][0]["input_schema"] == SCHEMA
    assert body["tool_choice"] == {"type": "tool", "name": "answer"}


def test_how_openai_is_asked():
    with FakeServer(sends(OPENAI)) as server:
        ask(opened("openai", server))
    ((path, headers, body),) = server.requests
    assert path == "/chat/completions"
    assert headers["Authorization"] == "Bearer secret-2"
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert body["max_tokens"] == 100


@pytest.mark.parametrize("name", REMOTE)
def test_plain_text(name):
    with FakeServer(sends(ANSWERS[name])) as server:
        found = ask(opened(name, server), schema=None)
    assert found.data is None
    assert found.text == ("So:" if name == "claude" else TEXT)


def test_a_fence_around_the_answer_is_taken_off():
    fenced = {**OLLAMA, "message": {"content": f"```json\n{TEXT}\n```"}}
    with FakeServer(sends(fenced)) as server:
        assert ask(opened("ollama", server)).data == DATA


RUDE = {
    "html": (sends(b"<html>hello</html>", kind="text/html"), "HTML", False),
    "html unannounced": (sends(b"  <!doctype html>"), "HTML", False),
    "truncated": (sends(b'{"message": {"con'), "no JSON", True),
    "not utf-8": (sends(b"\xff\xfe\x00"), "UTF-8", True),
    "a list": (sends([1, 2]), "not an object", True),
    "nothing in it": (sends({}), "the answer has no", True),
    "deep": (sends(b"[" * 90_000), "no JSON|not an object", True),
    "NaN": (sends(b'{"message": NaN}'), "no JSON", True),
    "empty": (sends(b""), "no JSON", True),
    "401": (sends({"error": "no"}, 401), "status 401 .*check the API key", False),
    "404": (sends({"error": "no such model"}, 404), "no such model.*consolidation.model", False),
    "429": (sends({"error": "slow down"}, 429, Retry_After="7"), "requests_per_minute", True),
    "500": (sends(b"<h1>oops</h1>", 500, "text/html"), "status 500 .*a page of HTML", True),
    "redirect": (sends(b"", 302, Location="http://127.0.0.1/"), "final address", False),
    "breaks off": (breaks_off, "connection failed", True),
    "hangs up": (hangs_up, "connection failed", True),
    "never ends": (never_ends, "more than 100000 bytes", False),
}


@pytest.mark.parametrize("name", REMOTE)
@pytest.mark.parametrize("case", sorted(RUDE))
def test_a_rude_server(name, case):
    behave, message, is_passing = RUDE[case]
    with (
        FakeServer(behave) as server,
        pytest.raises(ProviderError, match=rf"(?s){message}") as caught,
    ):
        ask(opened(name, server, max_answer_bytes=100_000))
    assert caught.value.is_passing == is_passing
    assert "secret" not in str(caught.value)
    assert caught.value.after == (7.0 if case == "429" else None)


@pytest.mark.parametrize("behave", [sleeps, drips, drips_body])
def test_a_slow_server_is_left_at_the_deadline(behave):
    with FakeServer(behave) as server:
        start = time.monotonic()
        with pytest.raises(ProviderError, match=r"no whole answer within 0\.3 s") as caught:
            ask(opened("ollama", server), timeout=0.3)
        assert time.monotonic() - start < 3
    assert caught.value.is_passing


def test_nobody_there():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        provider = open_provider("ollama", ProviderSettings(model="small", url=url))
        with pytest.raises(ProviderError, match="nobody answers") as caught:
            ask(provider)
    assert caught.value.is_passing


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("ollama", {**OLLAMA, "done_reason": "length"}),
        ("claude", {**CLAUDE, "stop_reason": "max_tokens"}),
        ("openai", {"choices": [{"message": {"content": TEXT}, "finish_reason": "length"}]}),
    ],
)
def test_an_answer_cut_off_by_its_bound(name, answer):
    with FakeServer(sends(answer)) as server, pytest.raises(ProviderError, match="100 tokens cut"):
        ask(opened(name, server))


def test_claude_must_call_its_tool():
    answer = {"content": [{"type": "text", "text": "I would rather not"}]}
    with FakeServer(sends(answer)) as server, pytest.raises(ProviderError, match="did not call the tool"):
        ask(opened("claude", server))


@pytest.mark.parametrize("name", REMOTE)
def test_a_model_must_be_named(name):
    with pytest.raises(ConfigurationError, match=r"consolidation\.model is empty"):
        open_provider(name, ProviderSettings())


# Addresses and keys.


@pytest.mark.parametrize("url", ["", "localhost:1", "ftp://a", "http://", "https://name:word@host/"])
def test_an_address_that_is_none(url):
    with pytest.raises(ConfigurationError, match="is no http:// or https:// address") as caught:
        Address(url)
    assert "word" not in str(caught.value)


def test_a_key_does_not_travel_unencrypted():
    with pytest.raises(ConfigurationError, match="would travel unencrypted"):
        Address("http://models.example/v1", {"Authorization": "Bearer x"})
    Address("http://[::1]:8000/v1", {"Authorization": "Bearer x"})
    Address("https://models.example/v1", {"Authorization": "Bearer x"})
    assert "secret" not in repr(Address("https://a.example", {"x-api-key": "secret"}))


def test_the_key_of_a_file(tmp_path):
    file = tmp_path / "key"
    file.write_text("from-file\n")
    settings = ProviderSettings(key_file=str(file))
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"others may use it \(mode 644\)"):
        api_key(settings, "OPENAI_API_KEY")
    file.chmod(0o600)
    assert api_key(settings, "OPENAI_API_KEY") == "from-file"


def test_the_key_of_the_environment():
    settings = ProviderSettings(key_variable="MY_KEY")
    assert api_key(settings, "OPENAI_API_KEY", {"MY_KEY": " abc\n", "OPENAI_API_KEY": "other"}) == "abc"
    with pytest.raises(ConfigurationError, match="MY_KEY: holds no API key"):
        api_key(settings, "OPENAI_API_KEY", {})
    assert api_key(settings, "OPENAI_API_KEY", {}, needed=False) == ""


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "na\u00efve", "a\x00b"])
def test_a_key_that_could_not_stand_in_a_header(key):
    with pytest.raises(ConfigurationError, match="no API key has") as caught:
        api_key(ProviderSettings(), "K", {"K": key})
    assert key not in str(caught.value)


def test_openai_needs_no_key_elsewhere(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with FakeServer(sends(OPENAI)) as server:
        assert ask(opened("openai", server)).data == DATA
    assert "Authorization" not in server.requests[0][1]
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY: holds no API key"):
        open_provider("openai", ProviderSettings(model="m"))


# Patience.


class Scripted:
    """Fails as told, then answers; time passes by waiting only."""

    name = "scripted"

    def __init__(self, *errors):
        self.errors = list(errors)
        self.now = 0.0
        self.waits = []
        self.asked = []

    def complete(self, messages, schema, *, max_tokens, timeout):
        self.asked.append(self.now)
        if self.errors:
            raise self.errors.pop(0)
        return Completion("ok")

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds

    def patient(self, **patience):
        source = random.Random(1)
        settings = Patience(**patience)
        return Retrying(self, settings, sleep=self.sleep, clock=lambda: self.now, random_source=source)


def passing(after=None):
    return ProviderError("busy", is_passing=True, after=after)


def test_what_passes_is_asked_again_with_growing_waits():
    provider = Scripted(*(passing() for _ in range(3)))
    assert ask(provider.patient(first_wait=1.0)).text == "ok"
    assert len(provider.asked) == 4
    assert all(0 <= wait <= bound for wait, bound in zip(provider.waits, (1, 2, 4), strict=True))
    assert len(set(provider.waits)) == 3  # jitter


def test_the_other_side_says_how_long_to_wait():
    provider = Scripted(passing(after=30.0))
    ask(provider.patient())
    assert provider.waits == [30.0]


def test_what_does_not_pass_is_not_asked_again():
    provider = Scripted(ProviderError("no"))
    with pytest.raises(ProviderError, match="no"):
        ask(provider.patient())
    assert len(provider.asked) == 1


def test_attempts_and_waits_have_an_end():
    provider = Scripted(*(passing() for _ in range(9)))
    with pytest.raises(ProviderError, match="busy"):
        ask(provider.patient(attempts=3))
    assert len(provider.asked) == 3
    provider = Scripted(passing(after=1000.0))
    with pytest.raises(ProviderError, match="busy"):
        ask(provider.patient(most_seconds=999.0))
    assert provider.waits == []


def test_no_minute_has_more_requests_than_allowed():
    provider = Scripted()
    patient = provider.patient(requests_per_minute=5)
    for _ in range(23):
        ask(patient)
        provider.now += 0.5
    for start in provider.asked:
        assert sum(start <= moment < start + 60 for moment in provider.asked) <= 5
    assert provider.asked[-1] < 60 * 5  # and not fewer without need


def test_the_rude_server_recovers():
    with FakeServer(sends({}, 503), sends(b"rubbish"), sends(OLLAMA)) as server:
        patient = Retrying(opened("ollama", server), Patience(first_wait=0.01))
        assert ask(patient).data == DATA
    assert len(server.requests) == 3


def test_our_own_engine_with_a_stand_in():
    from arrowmind.consolidate.providers.engine import Engine

    class Stream:
        class generation:
            text, finish_reason = TEXT, "constraint"

            class timings:
                prompt_tokens, tokens = 7, 5

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def __iter__(self):
            return iter(["a", "b"])

    class Model:
        def stream(self, prompt, **options):
            self.asked = prompt, options
            return Stream()

    model = Model()
    found = ask(Engine(model, "folder"))
    assert (found.data, found.tokens_in, found.tokens_out) == (DATA, 7, 5)
    assert model.asked[1]["json_schema"] == SCHEMA
    with pytest.raises(ProviderError, match="no whole answer within -1 s"):
        ask(Engine(model, "folder"), timeout=-1)


@pytest.mark.slow
def test_our_own_engine(shared_data, tmp_path):
    """The model is far too small to say anything sensible: it must keep to the schema all the same."""
    pytest.importorskip("llguidance")
    source = shared_data / "stories260K" / "stories260K.gguf"
    if not source.is_file():
        pytest.skip("no stories260K.gguf")
    from arrowmind.weights import convert_model

    convert_model(source, tmp_path / "story")
    template = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
    (tmp_path / "story" / "chat_template.jinja").write_text(template)
    provider = open_provider("engine", ProviderSettings(model=os.fspath(tmp_path / "story")))
    schema = {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]}
    schema["additionalProperties"] = False
    assert ask(provider, schema, timeout=60.0).data["n"] in (1, 2)
