"""What a store keeps to itself."""

from __future__ import annotations

import json

import pytest
from tests.memory.fake_encoder import FakeEncoder, FakeImages, picture

from arrowmind.config import load_config
from arrowmind.errors import PermissionDeniedError
from arrowmind.memory import MemoryStore
from arrowmind.memory.keeping.lifecycle import Change, Derived
from arrowmind.memory.storage.lifecycle_tables import Quote
from arrowmind.privacy import load_store_key, read_log, verify_log, verify_receipt

CARD = "4111 1111 1111 1111"


def opened(tmp_path, caller=None, namespace=None, **privacy):
    values = {f"privacy.{key}": value for key, value in privacy.items()}
    config = load_config(overrides=values)
    return MemoryStore(tmp_path / "s", FakeEncoder(), config=config, caller=caller, namespace=namespace)


def test_cards_do_not_come_in(tmp_path):
    with opened(tmp_path) as store:
        id_ = store.remember(f"pay with {CARD} today", metadata={"note": f"card {CARD}"})
        store.flush()
        record = store.get(id_)
        assert CARD not in record.text
        assert record.text.startswith("pay with ")
        assert CARD not in json.dumps(record.metadata)
    for path in (tmp_path / "s").rglob("*"):
        assert not path.is_file() or b"1111 1111" not in path.read_bytes(), path


def test_nothing_is_looked_for_if_told_so(tmp_path):
    with opened(tmp_path, redact=("none",)) as store:
        assert store.get(store.remember(f"pay with {CARD}")).text == f"pay with {CARD}"


def test_who_may_do_what(tmp_path):
    rules = ("ann writer a*", "bob reader ant", "root admin *")
    with opened(tmp_path, "ann", "ant", roles=rules) as ann:
        id_ = ann.remember("the key is blue")
        assert ann.recall("key")[0].id == id_
        with pytest.raises(PermissionDeniedError, match="'ann' may not compact"):
            ann.compact()
    with opened(tmp_path, "bob", "ant", roles=rules) as bob:
        assert bob.recall("key")[0].id == id_
        for use in (lambda: bob.remember("x"), lambda: bob.forget(id_), lambda: bob.erase(id_)):
            with pytest.raises(PermissionDeniedError, match="'bob' may not"):
                use()
    with opened(tmp_path, "bob", roles=rules) as bob, pytest.raises(PermissionDeniedError):
        bob.recall("key")
    with opened(tmp_path, "root", roles=rules) as root:
        assert root.get(id_).text == "the key is blue"
        root.compact()


def test_all_is_logged_without_a_word_of_it(tmp_path):
    with opened(tmp_path, "ann") as store:
        ids = store.remember_many(["the key is blue", "cats sleep"])
        store.recall("where is the key")
        store.forget(ids[1])
    folder = tmp_path / "s" / "privacy" / "access"
    assert verify_log(folder).ok
    entries = [(e["action"], e["caller"]) for e in read_log(folder) if "caller" in e]
    assert entries == [("remember", "ann"), ("recall", "ann"), ("forget", "ann")]
    for path in folder.rglob("*"):
        assert not path.is_file() or b"key is" not in path.read_bytes()


def test_a_receipt_of_erasure(tmp_path):
    with MemoryStore(tmp_path / "s", FakeEncoder(), image_engine=FakeImages()) as store:
        ids = store.remember_many(
            [f"an ordinary note about number {i}" for i in range(30)], image=picture("an old view of the sea")
        )
        secret = store.remember(
            "nobody must know about the zebra in the cellar", image=picture("a zebra face")
        )
        store.flush()
        fact = Derived("there is a zebra in some cellar", (Quote(secret, "zebra"),))
        (derived,) = store.lifecycle.apply(Change("k", "r", (fact,)))
        receipt = store.erase(secret)
        assert set(receipt.ids) == {secret, derived}
        assert store.get(secret) is None
        assert store.get(ids[3]) is not None
        assert store.verify().ok
    texts = ["nobody must know about the zebra in the cellar", "there is a zebra in some cellar"]
    key = load_store_key(tmp_path / "s" / "privacy")
    assert verify_receipt(receipt, tmp_path / "s", texts, key=key).ok
    for path in (tmp_path / "s").rglob("*"):
        assert not path.is_file() or b"zebra" not in path.read_bytes(), path


def test_a_backup_takes_log_and_key_along(tmp_path):
    with opened(tmp_path, "ann") as store:
        store.remember("x y z")
        store.backup(tmp_path / "copy")
    assert (tmp_path / "copy" / "privacy" / "store.key").stat().st_mode & 0o077 == 0
    assert verify_log(tmp_path / "copy" / "privacy" / "access").ok
    assert list((tmp_path / "copy" / "privacy" / "access").iterdir())
