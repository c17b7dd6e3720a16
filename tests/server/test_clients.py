"""The real `openai` client against a real server; many at once, of which some vanish."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.server.conftest import KEY, Encoder, listening

from arrowmind.config import ServerSettings

openai = pytest.importorskip("openai")
SAMPLED = {"temperature": 1.0, "max_tokens": 40}
MESSAGES = [{"role": "user", "content": "Once upon a time"}]


@pytest.fixture(scope="module")
def address(stories):
    with listening({"stories": stories, "encoder": Encoder()}, keys=[KEY]) as found:
        yield found


@pytest.fixture
def client(address):
    with openai.OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0, timeout=30) as opened:
        yield opened


def quiet(engine, seconds=15):
    """Waits until nothing is generated any more."""
    end = time.monotonic() + seconds
    while engine.worker_state().running or engine.worker_state().waiting:
        assert time.monotonic() < end, "a text is still being generated"
        time.sleep(0.005)


def test_chat(client, stories):
    found = client.chat.completions.create(model="stories", messages=MESSAGES, seed=1, **SAMPLED)
    expected = stories.generate(MESSAGES, seed=1, **SAMPLED)
    assert found.choices[0].message.content == expected.text
    assert found.usage.completion_tokens == len(expected.token_ids)


def test_streaming(client, stories):
    expected = stories.generate(MESSAGES, seed=2, **SAMPLED)
    options = {"stream": True, "stream_options": {"include_usage": True}, "seed": 2}
    text, counts = "", None
    for chunk in client.chat.completions.create(model="stories", messages=MESSAGES, **options, **SAMPLED):
        text += chunk.choices[0].delta.content or "" if chunk.choices else ""
        counts = chunk.usage or counts
    assert text == expected.text
    assert counts.total_tokens == expected.timings.prompt_tokens + len(expected.token_ids)


def test_completions_with_logprobs_and_extra_fields(client, stories):
    found = client.completions.create(
        model="stories",
        prompt="Tom and",
        temperature=0,
        max_tokens=6,
        logprobs=2,
        extra_body={"top_k": 4, "repetition_penalty": 1.2},
    )
    expected = stories.generate("Tom and", max_tokens=6, logprobs=2, top_k=4, repetition_penalty=1.2)
    assert found.choices[0].text == expected.text
    assert found.choices[0].logprobs.token_logprobs == [choice.logprob for choice in expected.logprobs]
    answer = client.chat.completions.create(
        model="stories", messages=MESSAGES, logprobs=True, top_logprobs=3, max_tokens=4
    )
    assert len(answer.choices[0].logprobs.content[0].top_logprobs) == 3


def test_several_answers_and_stop(client):
    found = client.completions.create(
        model="stories", prompt="One day", n=3, seed=5, stop=["."], max_tokens=60
    )
    assert len({choice.text for choice in found.choices}) == 3
    assert all("." not in choice.text for choice in found.choices)


def test_embeddings_and_models(client):
    found = client.embeddings.create(model="encoder", input=["a cat", "b"])
    assert found.data[0].embedding == [5, 2, 0.5]
    assert [model.id for model in client.models.list()] == ["stories", "encoder"]
    assert client.models.retrieve("stories").id == "stories"


def test_errors_are_those_that_the_client_knows(client, address):
    with pytest.raises(openai.NotFoundError, match="there is no model"):
        client.chat.completions.create(model="none", messages=MESSAGES)
    with pytest.raises(openai.BadRequestError, match="temperature is -1"):
        client.chat.completions.create(model="stories", messages=MESSAGES, temperature=-1)
    with (
        openai.OpenAI(base_url=f"{address}/v1", api_key="not the key", max_retries=0) as other,
        pytest.raises(openai.AuthenticationError),
    ):
        other.models.list()


def test_sixty_four_streams_of_which_a_third_vanish(address, stories):
    """None lost, none mixed: each that stays gets what it gets alone."""
    openings = ["Once upon a time", "Tom and", "One day, a big", "The little girl", "Lily saw"]

    async def ask(client, index):
        stream = await client.completions.create(
            model="stories", prompt=openings[index % 5], seed=index, stream=True, **SAMPLED
        )
        text, chunks = "", 0
        async for chunk in stream:
            text += chunk.choices[0].text
            chunks += 1
            if index % 3 == 0 and chunks == 1 + index % 7:
                await stream.close()
                return text
        return text

    async def everyone():
        async with openai.AsyncOpenAI(
            base_url=f"{address}/v1", api_key=KEY, max_retries=0, timeout=120
        ) as client:
            return await asyncio.gather(*(ask(client, index) for index in range(64)))

    found = asyncio.run(everyone())
    quiet(stories)
    for index, text in enumerate(found):
        expected = stories.generate(openings[index % 5], seed=index, **SAMPLED).text
        if index % 3:
            assert text == expected, index
        else:
            assert expected.startswith(text), index


def raw_request(address, body, *, read=0):
    """A connection that sends a request, reads some bytes, and is gone."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = (
            f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        return connection.recv(read) if read else b""


@pytest.mark.parametrize("stream", ["true", "false"])
def test_who_hangs_up_frees_the_sequence(address, stories, stream):
    body = b'{"model":"stories","prompt":"Once","max_tokens":1900,"ignore_eos":true,"stream":%s}'
    raw_request(address, body % stream.encode(), read=20 if stream == "true" else 0)
    time.sleep(0.1)
    quiet(stories)


def test_more_than_may_wait_get_429(stories, monkeypatch):
    """One text at a time and one in the queue: the rest is told to come again."""
    from arrowmind.errors import OverloadError

    whole, gate = stories.generator.submit, threading.Semaphore(2)

    def submit(job):
        if not gate.acquire(blocking=False):
            raise OverloadError("1 texts wait already, and 1 may; try again later")
        whole(job)

    monkeypatch.setattr(stories.generator, "submit", submit)
    with listening({"stories": stories}, ServerSettings()) as address:
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)

        def ask(_):
            try:
                return client.completions.create(model="stories", prompt="Tom", max_tokens=3).choices[0].text
            except openai.RateLimitError as error:
                assert error.response.headers["retry-after"]
                return 429

        with ThreadPoolExecutor(5) as pool:
            found = list(pool.map(ask, range(5)))
        client.close()
    assert found.count(429) == 3
    quiet(stories)
