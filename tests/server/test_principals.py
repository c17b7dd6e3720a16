"""Whose key it is decides what is seen: roles by namespace over HTTP, and a log that names who asked."""

from __future__ import annotations

import base64

import pytest
from starlette.testclient import TestClient
from tests.memory.fake_encoder import FakeEncoder, FakeImages, picture
from tests.server.conftest import Encoder, Shelf

from arrowmind.config import ServerSettings, load_config
from arrowmind.errors import ConfigurationError
from arrowmind.faces import MemoryDesk
from arrowmind.memory import MemoryStore
from arrowmind.privacy import read_log
from arrowmind.server import ApiKeys, create_app

KEYS = ["key-of-anna anna", "key-of-bert bert", "key-of-nora nora", "key-of-root root"]
RULES = ["anna writer anna-*", "bert writer bert-*", "bert reader shared", "root admin *"]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def client(folder):
    config = load_config(overrides={"privacy.roles": RULES})
    with MemoryStore(folder, FakeEncoder(), image_engine=FakeImages(), caller="root", config=config) as store:
        app = create_app(Shelf({"e": Encoder()}), ServerSettings(), ApiKeys(KEYS), MemoryDesk(store))
        with TestClient(app) as opened:
            yield opened


def as_(name):
    return {"Authorization": f"Bearer key-of-{name}"}


def remember(client, name, text, namespace, **more):
    body = {"text": text, "namespace": namespace, **more}
    return client.post("/v1/memories", json=body, headers=as_(name))


def search(client, name, text, **more):
    return client.post("/v1/memories/search", json={"text": text, **more}, headers=as_(name))


def episodes(client, name, text, **more):
    return client.post("/v1/memories/episodes", json={"text": text, **more}, headers=as_(name))


@pytest.fixture
def filled(client):
    image = base64.b64encode(picture("a red cat")).decode()
    assert remember(client, "anna", "anna keeps the blue key", "anna-notes", image=image).json()["id"] == 1
    assert remember(client, "bert", "bert keeps the red key", "bert-notes").json()["id"] == 2
    assert remember(client, "root", "all keep the green key", "shared").json()["id"] == 3
    return client


def test_each_finds_their_own(filled):
    for name, id_ in (("anna", 1), ("bert", 2)):
        found = search(filled, name, "key", namespace=f"{name}-notes").json()["memories"]
        assert [one["id"] for one in found] == [id_]
    found = search(filled, "bert", "key", namespace="shared").json()["memories"]
    assert [one["id"] for one in found] == [3]
    assert {one["id"] for one in search(filled, "root", "key").json()["memories"]} == {1, 2, 3}


@pytest.mark.parametrize(
    ("name", "other"), [("anna", "bert-notes"), ("bert", "anna-notes"), ("anna", "shared")]
)
def test_nobody_sees_the_namespace_of_another(filled, name, other):
    answers = [
        search(filled, name, "key", namespace=other),
        search(filled, name, "key"),
        episodes(filled, name, "key", namespace=other),
        episodes(filled, name, "key"),
        remember(filled, name, "a foreign word", other),
        remember(filled, name, "a word of nobody", "default"),
        filled.get(f"/v1/memories?namespace={other}", headers=as_(name)),
        filled.get("/v1/memories", headers=as_(name)),
        filled.get("/v1/memories/stats", headers=as_(name)),
    ]
    assert [answer.status_code for answer in answers] == [403] * 9
    assert all("keeps" not in answer.text and "all keep" not in answer.text for answer in answers)


def test_episodes_of_each_are_their_own(filled):
    """All three were told in the same minute."""
    for name, id_ in (("anna", 1), ("bert", 2)):
        (one,) = episodes(filled, name, "key", namespace=f"{name}-notes").json()["episodes"]
        assert (one["ids"], [memory["id"] for memory in one["memories"]]) == ([id_], [id_])
    (all_,) = episodes(filled, "root", "key").json()["episodes"]
    assert all_["ids"] == [1, 2, 3]


def test_single_memories_of_others_are_not_there(filled):
    mine = filled.get("/v1/memories/1", headers=as_("anna"))
    assert (mine.status_code, mine.json()["text"]) == (200, "anna keeps the blue key")
    assert filled.get("/v1/memories/1/attachments/0", headers=as_("anna")).content == picture("a red cat")
    unknown = filled.get("/v1/memories/999", headers=as_("bert"))
    for path in ("/v1/memories/1", "/v1/memories/1/attachments/0"):
        foreign = filled.get(path, headers=as_("bert"))
        assert foreign.status_code == 404
        assert foreign.json()["error"]["message"].replace("1", "999") == unknown.json()["error"]["message"]
    assert filled.delete("/v1/memories/1", headers=as_("bert")).json() == {"forgotten": 0}
    # A reader does not forget.
    assert filled.get("/v1/memories/3", headers=as_("bert")).status_code == 200
    assert filled.delete("/v1/memories/3", headers=as_("bert")).json() == {"forgotten": 0}
    assert filled.delete("/v1/memories/1", headers=as_("anna")).json() == {"forgotten": 1}
    assert filled.get("/v1/memories/3", headers=as_("root")).status_code == 200


def test_who_has_no_rule_may_nothing(filled):
    assert filled.get("/v1/memories/1", headers=as_("nora")).status_code == 403
    assert filled.delete("/v1/memories/1", headers=as_("nora")).status_code == 403
    assert filled.get("/v1/memories/1", headers={"Authorization": "Bearer key-of-nobody"}).status_code == 401


def test_the_log_names_who_asked(filled, folder):
    search(filled, "bert", "key", namespace="bert-notes")
    search(filled, "anna", "key", namespace="bert-notes")
    filled.get("/v1/memories/1", headers=as_("bert"))
    filled.delete("/v1/memories/2", headers=as_("bert"))
    entries = [
        (entry["action"], entry["caller"], entry.get("allowed", True))
        for entry in read_log(folder / "privacy" / "access")
        if "caller" in entry
    ]
    assert ("recall", "anna", False) in entries
    assert ("get", "bert", False) in entries
    assert ("forget", "bert", True) in entries
    assert ("remember", "anna", True) in entries


def test_the_store_in_python(folder):
    config = load_config(overrides={"privacy.roles": RULES})
    with MemoryStore(folder, FakeEncoder(), caller="root", config=config) as store:
        anna = store.acting_as("anna")
        id_ = anna.remember("the blue key", namespace="anna-notes")
        bert = store.acting_as("bert")
        assert bert.get(id_) is None
        assert bert.links(id_) == []
        assert bert.forget(id_) == 0
        assert not bert.joint([id_]).any()
        bert.close()
        assert anna.get(id_).text == "the blue key"
        assert anna.erase(id_).ids == (id_,)


@pytest.mark.parametrize(
    ("lines", "part"),
    [
        (["key-of-anna anna more"], "more than two words"),
        (["short anna"], "fewer than"),
        (["a-long-key x", "a-long-key y"], "each their own"),
    ],
)
def test_bad_lines(lines, part):
    with pytest.raises(ConfigurationError, match=part):
        ApiKeys(lines)


def test_who_is_named():
    keys = ApiKeys(["a-long-key", "another-key anna", ""])
    assert keys.principals == {"anna"}
    assert keys.accept("Bearer another-key")
    assert not keys.accept("Bearer anna")
