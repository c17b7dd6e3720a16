"""/v1/memories: the operations of a memory, with keys, limits and back-pressure as the other endpoints."""

from __future__ import annotations

import asyncio
import base64
import threading
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient
from tests.memory.fake_encoder import FakeEncoder, FakeImages, picture
from tests.server.conftest import KEY, Encoder, Shelf

from arrowmind.config import ServerSettings
from arrowmind.errors import OverloadError
from arrowmind.faces import MemoryDesk
from arrowmind.memory import MemoryStore
from arrowmind.server import ApiKeys, create_app
from arrowmind.server.failures import respond
from arrowmind.server.memories import Memories

NOBODY = SimpleNamespace(state=SimpleNamespace())
TEXT = "The key lies under the blue pot."


@pytest.fixture
def store(tmp_path):
    with MemoryStore(tmp_path / "store", FakeEncoder(), image_engine=FakeImages()) as opened:
        yield opened


@pytest.fixture
def serve(store):
    opened = []

    def run(desk=None, keys=(), **limits):
        settings = ServerSettings(**limits)
        app = create_app(Shelf({"encoder": Encoder()}), settings, ApiKeys(keys), desk or MemoryDesk(store))
        client = TestClient(app)
        opened.append(client)
        return client.__enter__()

    yield run
    for client in opened:
        client.__exit__(None, None, None)


def test_a_memory_comes_and_goes(serve):
    client = serve()
    made = client.post("/v1/memories", json={"text": TEXT, "category": "home", "metadata": {"page": 3}})
    assert (made.status_code, made.json()) == (201, {"id": 1, "uri": "memory://1"})
    client.post("/v1/memories", json={"text": "Cats sleep.", "origin": "web"})
    found = client.post("/v1/memories/search", json={"text": "the blue key", "top_k": 1}).json()["memories"]
    assert [(one["id"], one["text"], one["origin"], one["trust"]) for one in found] == [
        (1, TEXT, "user", 1.0)
    ]
    assert "explanation" not in found[0]
    (hit,) = client.post("/v1/memories/search", json={"text": "cats", "top_k": 1, "explain": True}).json()[
        "memories"
    ]
    assert (hit["id"], hit["trust"], hit["explanation"]["text"]["words"]) == (2, 0.3, ["cats"])
    assert client.get("/v1/memories/1").json()["metadata"] == {"page": 3}
    assert [one["id"] for one in client.get("/v1/memories?count=1").json()["memories"]] == [2]
    assert [one["id"] for one in client.get("/v1/memories?before=2&category=home").json()["memories"]] == [1]
    stats = client.get("/v1/memories/stats").json()
    assert (stats["records"], "path" in stats) == (2, False)
    assert client.delete("/v1/memories/1").json() == {"forgotten": 1}
    assert client.delete("/v1/memories/1").json() == {"forgotten": 0}
    gone = client.get("/v1/memories/1")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "memory_not_found")


def test_images_come_back_and_do_nothing(serve):
    client = serve()
    data = picture("a red cat")
    encoded = base64.b64encode(data).decode()
    assert client.post("/v1/memories", json={"image": encoded}).json()["id"] == 1
    got = client.get("/v1/memories/1/attachments/0")
    assert (got.content, got.headers["content-type"]) == (data, "image/png")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in got.headers["content-security-policy"]
    (hit,) = client.post("/v1/memories/search", json={"image": encoded}).json()["memories"]
    assert hit["attachments"][0]["uri"] == "memory://1/attachments/0"
    assert client.get("/v1/memories/1/attachments/1").status_code == 404


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({}, "text"),
        ({"text": " "}, "is empty"),
        ({"text": 1}, "text is 1"),
        ({"text": "a", "image": "%%%"}, "no base64"),
        ({"text": "a", "image": "aaaa"}, "no image"),
        ({"text": "a", "origin": "derived"}, "origin is 'derived'"),
        ({"text": "a", "trust": 2}, "trust=2"),
        ({"text": "a", "when": "now"}, "'when' is unknown"),
    ],
)
def test_what_cannot_be_remembered(serve, store, body, part):
    refused = serve().post("/v1/memories", json=body)
    assert refused.status_code == 400
    assert part in refused.json()["error"]["message"]
    assert store.stats().records == 0


def test_odd_addresses(serve):
    client = serve()
    assert client.get(f"/v1/memories/{10**40}").status_code == 400
    assert client.get(f"/v1/memories/{2**63 - 1}").status_code == 404
    assert client.get(f"/v1/memories/{10**40}/attachments/0").status_code == 404
    assert client.get("/v1/memories/x").status_code == 404
    assert client.get("/v1/memories?count=x").status_code == 400
    assert client.get("/v1/memories?count=5000").status_code == 400
    assert client.get("/v1/memories?wrong=1").status_code == 400
    assert (
        client.post("/v1/memories", content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
    )


def test_keys_and_sizes(serve):
    client = serve(keys=[KEY], max_body_bytes=1024)
    assert client.get("/v1/memories/stats").status_code == 401
    assert client.post("/v1/memories", json={"text": "a"}).status_code == 401
    headers = {"Authorization": f"Bearer {KEY}"}
    assert client.get("/v1/memories/stats", headers=headers).status_code == 200
    assert client.post("/v1/memories", json={"text": "a" * 2000}, headers=headers).status_code == 413


def test_read_only(serve, store):
    client = serve(MemoryDesk(store, read_only=True))
    refused = client.post("/v1/memories", json={"text": "a"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")


def test_without_a_store_there_is_nothing(store):
    with TestClient(create_app(Shelf({"encoder": Encoder()}), ServerSettings(), ApiKeys())) as client:
        assert client.get("/v1/memories/stats").status_code == 404


def test_too_many_at_once_are_told_to_come_again(store):
    begun, go = threading.Event(), threading.Event()

    class Slow(MemoryDesk):
        def call(self, name, values, **more):
            begun.set()
            assert go.wait(30)
            return super().call(name, values, **more)

    async def ask():
        ours = Memories(Slow(store), ServerSettings(max_memory_requests=2))
        first, second = (asyncio.ensure_future(ours.stats(NOBODY)) for _ in range(2))
        await asyncio.to_thread(begun.wait, 30)
        with pytest.raises(OverloadError, match="2 requests to the memory wait already"):
            await ours.stats(NOBODY)
        go.set()
        assert [(await one).status_code for one in (first, second)] == [200, 200]
        assert (await ours.stats(NOBODY)).status_code == 200

    asyncio.run(ask())
    refused = respond(OverloadError("wait"))
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")


def test_episodes(serve):
    client = serve()
    for text, session in (("a red kayak", "a"), ("an oven", "b"), ("a long lake", "a")):
        assert (
            client.post("/v1/memories", json={"text": text, "metadata": {"session": session}}).status_code
            == 201
        )
    (found,) = client.post("/v1/memories/episodes", json={"text": "kayak"}).json()["episodes"]
    assert found["ids"] == [1, 2, 3]
    assert "explanation" not in found
    body = {"text": "kayak", "by": "metadata.session", "top_k": 1, "hits": 1, "explain": True}
    (found,) = client.post("/v1/memories/episodes", json=body).json()["episodes"]
    assert (found["value"], found["ids"], [one["id"] for one in found["memories"]]) == ("a", [1, 3], [1])
    assert set(found["explanation"]) >= {"best", "links"}
    for wrong in ({}, {"text": "a", "by": "x"}, {"text": "a", "hits": 0}, {"text": "a", "explain": 3}):
        assert client.post("/v1/memories/episodes", json=wrong).status_code == 400
    assert client.get("/v1/memories/episodes").status_code in (404, 405)
