"""What people get wrong with a memory: each is told in one clear line, and nothing is lost or half done."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from tests.cli.conftest import WordEngine

from arrowmind.memory import MemoryStore
from arrowmind.memory.keeping.lifecycle import Change, Derived
from arrowmind.memory.storage.lifecycle_tables import Quote

pytestmark = pytest.mark.usefixtures("words")
TEXTS = ["the key is under the blue pot", "cats sleep all day", "water boils at 100 degrees"]


@pytest.fixture
def filled(call, words):
    assert call("remember", *TEXTS).code == 0


def refused(outcome, *parts):
    assert outcome.code == 1
    assert outcome.stdout == ""
    for part in parts:
        assert part in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1


def test_a_file_that_is_not_there_is_no_text(call):
    for word in ("notes.txt", "no/such/file", "./x"):
        refused(call("remember", "a text", word), f"there is no file {word}", "--text")
    assert not Path("memory").exists()
    assert call("remember", "notes.txt", "--text").code == 0
    texts = ["https://example.com/a.html", "3.14", "a plain text.", "word"]
    assert call("remember", *texts, "--json").json["count"] == 4


def test_an_empty_text_makes_no_store(call):
    for word in ("", " \n"):
        refused(call("remember", "a text", word), "a text is empty")
    assert not Path("memory").exists()


def test_how_many_were_remembered(call):
    assert call("remember", "one").stdout.startswith("remembered 1 text in memory")
    assert call("remember", "one", "two").stdout.startswith("remembered 2 texts in memory")
    Path("three").write_text("three")
    assert call("remember", "three").stdout.startswith("remembered 1 memory in memory")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("options", [[], ["--episodes"]])
def test_nothing_to_look_for(call, options):
    for words in ([], [""], ["  ", "\t"]):
        refused(call("recall", *words, *options), "nothing to look for")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("options", [[], ["--episodes"]])
def test_a_namespace_or_a_category_that_there_is_not(call, options):
    call("remember", "a dog barks", "--namespace", "farm", "--category", "animals")
    outcome = call("recall", "dog", "--namespace", "fram", *options)
    assert (outcome.code, outcome.stdout) == (0, "nothing found\n")
    assert outcome.stderr == "arrowmind: no memory has the namespace 'fram'; there are default, farm\n"
    outcome = call("recall", "dog", "--category", "plants", *options)
    assert outcome.stderr == "arrowmind: no memory has the category 'plants'; there are animals\n"
    outcome = call("recall", "dog", "--namespace", "default", "--category", "animals", *options)
    assert (outcome.stdout, outcome.stderr) == ("nothing found\n", "")


@pytest.mark.usefixtures("filled")
def test_names_are_not_told_to_whom_rules_keep_from_them(call):
    rules = ["--set", "privacy.roles=eve reader eves", "--set", "privacy.principal=eve"]
    outcome = call("recall", "key", "--namespace", "eves", *rules)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "nothing found\n", "")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("command", [["recall", "key"], ["forget", "1"], ["remember", "x"]])
def test_an_empty_namespace_is_not_all_of_them(call, command):
    """A variable that is not set must not open the whole store."""
    refused(call(*command, "--namespace", ""), "namespace=''")
    assert call("stats", "--json").json["records"] == 3


@pytest.mark.usefixtures("filled")
def test_a_period_that_ends_before_it_begins(call):
    outcome = call("recall", "key", "--since", "2030-01-02", "--until", "2030-01-01T00:00Z")
    refused(outcome, "--since 2030-01-02 is not before --until 2030-01-01T00:00Z")


@pytest.mark.usefixtures("filled")
def test_an_image_without_a_model_of_images(call):
    Path("picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    refused(call("recall", "--image", "picture.png"), "--image-model", "memory.image_model")
    refused(call("recall", "--audio", "picture.png"), "--audio-model")


@pytest.mark.usefixtures("filled")
def test_ids_that_are_not_there(call):
    outcome = call("forget", "99", "0", "-q", "--", "-1")
    assert outcome.stdout == "forgot 0 of 3\n"
    assert "none of these ids is there" in outcome.stderr
    assert call("forget", "1", "1").stdout == "forgot 1 of 1\n"


@pytest.mark.usefixtures("filled")
def test_what_was_derived_counts(call, words):
    with MemoryStore("memory") as store:
        fact = Derived("Cats sleep.", (Quote(2, TEXTS[1]),), vector=words[0].encode(["cats"])[0])
        store.lifecycle.apply(Change("key", derived=(fact,)))
    assert call("forget", "2").stdout == "forgot 2: what was derived from the 1 as well\n"


@pytest.mark.usefixtures("filled")
def test_a_receipt_that_cannot_be_written_forgets_nothing(call):
    refused(call("forget", "1", "--receipt", "nowhere/proof.json"), "no file can be made in nowhere")
    assert call("stats", "--json").json["records"] == 3


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("command", ["backup", "export"])
@pytest.mark.parametrize("target", [".", "..", "/", "memory"])
def test_a_copy_onto_what_is_there(call, command, target):
    refused(call("memory", command, target), "is there already")


def test_a_file_is_no_store(call):
    Path("file").write_text("x")
    refused(call("remember", "x", "--store", "file"), "file", "choose another name")
    refused(call("recall", "x", "--store", "file"), "holds no memory store")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("lose", [lambda path: path.write_bytes(b""), Path.unlink])
def test_a_lost_catalogue_is_not_an_empty_store(call, lose):
    for path in Path("memory").glob("catalogue.sqlite*"):
        lose(path)
    outcome = call("remember", "x")
    assert outcome.code == 1
    assert "restore the folder memory from a backup" in outcome.stderr
    assert call("recall", "key").code == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_interrupted_in_the_middle_tells_what_is_remembered(call, monkeypatch, error):
    monkeypatch.setattr("arrowmind.memory.intake.receiving._CHUNK_ENCODED", 2)
    calls = []
    encode = WordEngine.encode

    def interrupted(self, texts, **more):
        calls.append(texts)
        if len(calls) == 3:
            raise error
        return encode(self, texts, **more)

    monkeypatch.setattr(WordEngine, "encode", interrupted)
    outcome = call("remember", *(f"text number {i}" for i in range(9)))
    assert outcome.code == (130 if error is KeyboardInterrupt else 1)
    assert "the first 4 texts are remembered; go on with the one after" in outcome.stderr
    assert call("stats", "--json").json["records"] == 4


def test_interrupted_in_a_file_tells_how_far_it_came(call, monkeypatch):
    monkeypatch.setattr("arrowmind.memory.intake.receiving._CHUNK_ENCODED", 1)
    Path("a.txt").write_text("short")
    Path("b.txt").write_text("\n\n".join(f"part {i} " + "word " * 250 for i in range(4)))
    encode = WordEngine.encode

    def interrupted(self, texts, **more):
        if texts[0].startswith("part 2"):
            raise KeyboardInterrupt
        return encode(self, texts, **more)

    monkeypatch.setattr(WordEngine, "encode", interrupted)
    outcome = call("remember", "a.txt", "b.txt")
    assert outcome.code == 130
    assert "remembered 1 memory, of all before b.txt, and the first 2 passages of it" in outcome.stderr


def test_interrupted_while_it_is_imported(shell):
    """Ctrl-C in the first tenths of a second must not show a trace either."""
    code = (
        "import sys, arrowmind.cli\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.exit(arrowmind.cli.main(['stats']))"
    )
    outcome = shell(code=code)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (130, "", "")


@pytest.mark.usefixtures("filled")
def test_a_store_of_a_newer_version(call):
    with sqlite3.connect("memory/catalogue.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    for command in (["recall", "key"], ["remember", "x"], ["forget", "1"], ["memory", "verify"]):
        refused(call(*command), "schema version 99", "upgrade arrowmind")


@pytest.mark.usefixtures("filled")
def test_errors_are_json_as_well(call):
    outcome = call("recall", "", "--json")
    assert json.loads(outcome.stdout)["error"]["type"] == "InvalidArgumentError"
