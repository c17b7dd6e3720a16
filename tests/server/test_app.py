"""The application: answers, errors in the shape that clients know, keys, limits, health and metrics."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.server.conftest import KEY, Encoder, Shelf

from arrowmind.config import ServerSettings
from arrowmind.errors import ConfigurationError, InvalidArgumentError
from arrowmind.observe import metrics
from arrowmind.server import ApiKeys, ModelShelf, create_app
from arrowmind.server.shelf import name_of

SAMPLED = {"temperature": 4.0, "seed": 3, "max_tokens": 12, "ignore_eos": True}


def post(client, path="/v1/completions", **fields):
    default = {"model": "bytes", "prompt": "the cat", **SAMPLED}
    if "chat" in path:
        default["messages"] = [{"role": "user", "content": default.pop("prompt")}]
    return client.post(path, json={**default, **fields})


def events(response):
    lines = [line for line in response.text.split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line[6:]) for line in lines[:-1]]


def test_a_completion(client, engine):
    expected = engine.generate("the cat", **SAMPLED)
    body = post(client).json()
    assert body["choices"][0]["text"] == expected.text
    assert body["choices"][0]["finish_reason"] == "length"
    counts = {"prompt_tokens": expected.timings.prompt_tokens, "completion_tokens": 12}
    assert body["usage"] == {**counts, "total_tokens": sum(counts.values())}
    assert (body["object"], body["model"]) == ("text_completion", "bytes")


def test_a_chat(client, engine):
    expected = engine.generate([{"role": "user", "content": "the cat"}], **SAMPLED)
    body = post(client, "/v1/chat/completions").json()
    assert body["choices"][0]["message"]["content"] == expected.text
    assert body["object"] == "chat.completion"


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_stream_is_the_answer_in_pieces(client, path, count):
    whole = post(client, path, n=count, logprobs=2 if path == "/v1/completions" else True).json()
    options = {"n": count, "stream": True, "stream_options": {"include_usage": True}}
    chunks = events(post(client, path, **options))
    texts, reasons = [""] * count, [None] * count
    for chunk in chunks[:-1]:
        assert chunk["id"] == chunks[0]["id"]
        for choice in chunk["choices"]:
            text = choice["text"] if "text" in choice else choice["delta"].get("content", "")
            texts[choice["index"]] += text
            reasons[choice["index"]] = choice["finish_reason"]
    found = [choice.get("text", choice.get("message", {}).get("content")) for choice in whole["choices"]]
    assert texts == found
    assert reasons == ["length"] * count
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == whole["usage"]
    assert len(set(found)) == count  # one seed, several streams of random numbers


def test_several_prompts(client, engine):
    body = post(client, prompt=["a", "b"], n=2).json()
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2, 3]
    assert body["choices"][2]["text"] == engine.generate("b", **SAMPLED).text
    assert body["usage"]["prompt_tokens"] == 2


def test_logprobs_of_both_kinds(client, engine):
    expected = engine.generate("the cat", logprobs=2, **SAMPLED).logprobs
    text = post(client, logprobs=2).json()["choices"][0]["logprobs"]
    assert text["token_logprobs"] == [choice.logprob for choice in expected]
    assert text["text_offset"][:2] == [0, len(text["tokens"][0])]
    chat = post(client, "/v1/chat/completions", logprobs=True, top_logprobs=2).json()
    content = chat["choices"][0]["logprobs"]["content"]
    assert len(content) == 12
    assert all(len(entry["top_logprobs"]) == 2 for entry in content)
    assert bytes(content[0]["bytes"]).decode("utf-8", "replace") == content[0]["token"]


def test_a_schema(client):
    pytest.importorskip("llguidance")
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    schema["additionalProperties"] = False
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    body = post(client, "/v1/chat/completions", response_format=form, max_tokens=60).json()
    assert set(json.loads(body["choices"][0]["message"]["content"])) == {"ok"}
    assert body["choices"][0]["finish_reason"] == "stop"


def test_embeddings(client):
    found = client.post("/v1/embeddings", json={"model": "encoder", "input": ["a cat", "bb"]}).json()
    assert [entry["embedding"] for entry in found["data"]] == [[5, 2, 0.5], [2, 0, 0.5]]
    assert found["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    body = {"model": "encoder", "input": "a cat", "encoding_format": "base64", "dimensions": 3}
    coded = client.post("/v1/embeddings", json=body).json()["data"][0]["embedding"]
    assert np.frombuffer(base64.b64decode(coded), "<f4").tolist() == [5, 2, 0.5]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input": 3}, "input is 3"),
        ({"input": []}, "input is"),
        ({"input": [[1, 2]]}, "input is"),
        ({"input": ["x"] * 2049}, "2049 texts"),
        ({"dimensions": 7}, "this model gives 3"),
        ({"encoding_format": "hex"}, "encoding_format is 'hex'"),
        ({"zzz": 1}, "unknown field 'zzz'"),
        ({"model": "bytes"}, "is a language model"),
    ],
)
def test_embeddings_that_are_refused(client, fields, message):
    response = client.post("/v1/embeddings", json={"model": "encoder", "input": "x", **fields})
    assert response.status_code == 400
    assert message in response.json()["error"]["message"]


def test_models(client):
    assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["bytes", "encoder"]
    assert client.get("/v1/models/bytes").json()["owned_by"] == "arrowmind"
    assert client.get("/v1/models/none").json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"model": "nothing"}, 404, "there is no model 'nothing'"),
        ({"model": "encoder"}, 400, "is an encoder"),
        ({"temperature": -1}, 400, "temperature is -1"),
        ({"prompt": "x" * 500}, 400, "has 500 tokens"),
        ({"prompt": [1, 99999]}, 400, "prompt[1] is 99999"),
        ({"prompt": ""}, 400, "prompt has no tokens"),
        ({"max_tokens": 65}, 400, "max_tokens is 65"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_refused_has_a_status(client, fields, status, message, stream):
    response = post(client, stream=stream, **fields)
    assert response.status_code == status
    error = response.json()["error"]
    assert message in error["message"]
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"model": "bytes"}', "text/plain", 415),
        (b'{"model": "bytes"}', "", 415),
        (b'{"x": "' + b"x" * 9_000_000 + b'"}', "application/json", 413),
    ],
)
def test_bodies_that_are_refused(client, content, kind, status):
    response = client.post("/v1/completions", content=content, headers={"content-type": kind})
    assert response.status_code == status
    assert response.json()["error"]["message"]


def test_a_body_that_lies_about_its_size(client):
    def parts():
        for _ in range(100):
            yield b"x" * 200_000

    response = client.post("/v1/completions", content=parts(), headers={"content-type": "application/json"})
    assert response.status_code == 413


def test_paths_and_methods_that_are_not_there(client):
    for response in (client.get("/v2/nothing"), client.get("/v1/completions")):
        assert response.status_code in (404, 405)
        assert "is not served" in response.json()["error"]["message"]


def test_keys(engine):
    keys = ApiKeys([KEY, "", "  another-long-key "])
    with TestClient(create_app(Shelf({"bytes": engine}), ServerSettings(), keys)) as client:
        for header in ({}, {"Authorization": "Bearer wrong-key-there"}, {"Authorization": f"Basic {KEY}"}):
            for path in ("/v1/models", "/metrics"):
                response = client.get(path, headers=header)
                assert response.status_code == 401
                assert response.json()["error"]["code"] == "invalid_api_key"
                assert response.headers["www-authenticate"] == "Bearer"
        for key in (KEY, "another-long-key"):
            assert client.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert client.get("/health").status_code == 200
    with pytest.raises(ConfigurationError, match="fewer than 8"):
        ApiKeys(["short"])


def test_metrics(client):
    metrics.reset_metrics()
    post(client)
    client.get("/no/such/path/1")
    text = client.get("/metrics").text
    assert 'arrowmind_generated_tokens_total{model="bytes"} 12.0' in text
    assert 'arrowmind_http_requests_total{route="/v1/completions",status="200"} 1.0' in text
    assert 'arrowmind_http_requests_total{route="other",status="404"} 1.0' in text


class Busy:
    """A language model whose queue is full."""

    is_decoder = True

    def __init__(self, engine):
        self.engine = engine

    @property
    def generator(self):
        from arrowmind.errors import OverloadError

        raise OverloadError("256 texts wait already")

    def worker_state(self):
        from arrowmind.engine.worker_state import WorkerState

        return WorkerState(64, 256, accepts=False)


class Broken(Busy):
    @property
    def generator(self):
        raise RuntimeError("secret details")


def test_who_comes_too_late_is_told_when_to_come_again(engine):
    with TestClient(create_app(Shelf({"bytes": Busy(engine)}), ServerSettings(), ApiKeys())) as client:
        response = post(client)
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) >= 1
        assert response.json()["error"]["type"] == "rate_limit_error"
        health = client.get("/health")
        assert (health.status_code, health.json()["status"], health.json()["waiting"]) == (
            503,
            "degraded",
            256,
        )


def test_faults_of_ours_are_not_told(engine, caplog):
    with TestClient(create_app(Shelf({"bytes": Broken(engine)}), ServerSettings(), ApiKeys())) as client:
        response = post(client)
        assert response.status_code == 500
        assert "secret" not in response.text
    assert "secret details" in caplog.text


def test_an_error_within_a_stream_is_its_last_event(client, engine, monkeypatch):
    from arrowmind.generate import TokenSequence

    whole = TokenSequence.take

    def take(self, logits):
        if len(self.token_ids) == 3:
            raise InvalidArgumentError("no distribution")
        return whole(self, logits)

    monkeypatch.setattr(TokenSequence, "take", take)
    chunks = events(post(client, stream=True))
    assert chunks[-1]["error"]["message"] == "no distribution"
    monkeypatch.undo()
    assert post(client).status_code == 200


def test_names_of_models():
    assert name_of("a/b/qwen")[0] == "qwen"
    name, path = name_of("fast=models/x")
    assert (name, str(path)) == ("fast", "models/x")
    for word in ("=models/x", " =x", "a\n=x"):
        with pytest.raises(InvalidArgumentError, match="names no model"):
            name_of(word)
    with pytest.raises(InvalidArgumentError, match="no model to serve"):
        ModelShelf({})


def test_closing_the_application_closes_the_engines():
    class Noting(Encoder):
        closed = False

        def close(self):
            self.closed = True

    engine = Noting()
    with TestClient(create_app(ModelShelf({"e": engine}), ServerSettings(), ApiKeys())):
        assert not engine.closed
    assert engine.closed
