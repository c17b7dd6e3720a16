"""remember, recall, forget, stats, verify: one store through the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from arrowmind.cli.recalled import spans_of

pytestmark = pytest.mark.usefixtures("words")


@pytest.fixture
def filled(call):
    texts = ["the key is under the blue pot", "cats sleep all day", "water boils at 100 degrees"]
    assert call("remember", *texts).code == 0
    return texts


def test_remember_and_recall(call, filled):
    outcome = call("recall", "where", "is", "the", "key", "--json")
    assert outcome.json["query"] == "where is the key"
    assert outcome.json["hits"][0]["text"] == filled[0]
    lines = call("recall", "cats").stdout.splitlines()
    assert lines[0].startswith("1. [")
    assert lines[1] == f"   {filled[1]}"


def test_top_k(call, filled):
    assert len(call("recall", "the", "--json", "-k", "2").json["hits"]) == 2
    assert len(call("recall", "the", "--json", "--set", "memory.top_k=1").json["hits"]) == 1
    assert call("recall", "the", "-k", "0").code == 1


def test_where_the_store_lies(call, words, monkeypatch):
    call("remember", "a b c", "--store", "here", "--model", "mine")
    monkeypatch.setenv("ARROWMIND_MEMORY_PATH", "here")
    monkeypatch.setenv("ARROWMIND_MODEL_PATH", "theirs")
    assert call("recall", "a", "--json").json["hits"]
    assert [engine.path for engine in words] == ["mine", "theirs"]


def test_no_store_is_an_error_and_makes_none(call):
    for command in (["recall", "x"], ["forget", "1"], ["stats"]):
        outcome = call(*command)
        assert outcome.code == 1
        assert "no memory store" in outcome.stderr
    assert not Path("memory").exists()


def test_from_file_pipe_and_json_lines(call):
    Path("texts").write_text("one\n\ntwo\n")
    assert call("remember", "--file", "texts", "--json").json["ids"] == [1, 2]
    assert call("remember", "--json", stdin="three\n").json["count"] == 1
    rows = [
        {"text": "four", "category": "n", "metadata": {"a": [1]}, "timestamp": "2020-01-02T03:04:05Z"},
        {"text": "five", "timestamp": 86400},
    ]
    call("remember", "--jsonl", "--category", "rest", stdin="\n".join(map(json.dumps, rows)))
    hits = {hit["text"]: hit["record"] for hit in call("recall", "four five", "--json").json["hits"]}
    assert hits["four"]["category"] == "n"
    assert hits["four"]["metadata"] == {"a": [1]}
    assert hits["four"]["timestamp"].startswith("2020-01-02T03:04:05")
    assert hits["five"]["category"] == "rest"
    assert hits["five"]["timestamp"].startswith("1970-01-02")


def test_filters(call):
    rows = [{"text": "apple old", "timestamp": "2001-01-01"}, {"text": "apple new", "category": "x"}]
    call("remember", "--jsonl", stdin="\n".join(map(json.dumps, rows)))

    def found(*options):
        return [hit["text"] for hit in call("recall", "apple", "--json", *options).json["hits"]]

    assert found("--category", "x") == ["apple new"]
    assert found("--category", "none") == []
    assert found("--since", "2010-01-01") == ["apple new"]
    assert found("--until", "2010-01-01T00:00+02:00") == ["apple old"]
    assert call("recall", "apple", "--since", "yesterday").code == 1


def test_a_bad_line_says_what_is_stored_already(call, monkeypatch):
    monkeypatch.setattr("arrowmind.cli.commands.remember._PART", 2)
    lines = [json.dumps({"text": str(i)}) for i in range(5)]
    outcome = call("remember", "--jsonl", stdin="\n".join([*lines, "{"]))
    assert outcome.code == 1
    assert "the first 4 texts are remembered" in outcome.stderr
    assert "line 6" in outcome.stderr
    assert call("stats", "--json").json["records"] == 4


@pytest.mark.parametrize(
    ("line", "part"),
    [('{"text": "a", "when": 1}', "'when'"), ('{"text": "a", "timestamp": "x"}', "timestamp = 'x'")],
)
def test_bad_json_rows(call, line, part):
    outcome = call("remember", "--jsonl", stdin=line)
    assert outcome.code == 1
    assert part in outcome.stderr


def test_words_and_a_file_exclude_each_other(call):
    assert call("remember", "a", "--file", "b").code == 1


def test_forget_and_compact(call, filled):
    outcome = call("forget", "1", "99", "--json")
    assert (outcome.json["asked"], outcome.json["forgotten"]) == (2, 1)
    assert filled[0] not in call("recall", "key").stdout
    outcome = call("forget", "2", "--compact")
    assert outcome.stdout.startswith("forgot 1 of 1\nremoved the bytes of ")
    assert call("forget", "two").code == 2


def test_namespaces(call):
    call("remember", "the key is blue", "--namespace", "home")
    call("remember", "the key is red", "--namespace", "work")
    call("remember", "the key is green")
    found = {
        name: call("recall", "key", "--json", "--namespace", name).json["hits"] for name in ("home", "work")
    }
    assert {name: [hit["id"] for hit in hits] for name, hits in found.items()} == {"home": [1], "work": [2]}
    assert len(call("recall", "key", "--json").json["hits"]) == 3
    assert call("forget", "1", "2", "3", "--namespace", "work", "--json").json["forgotten"] == 1
    assert {hit["id"] for hit in call("recall", "key", "--json").json["hits"]} == {1, 3}
    assert call("recall", "key", "--namespace", "nowhere", "--json").json["hits"] == []


def test_a_receipt_can_be_checked(call, filled, tmp_path):
    proof, text = tmp_path / "proof.json", tmp_path / "text.txt"
    text.write_text(filled[0] + "\n")
    outcome = call("forget", "1", "--receipt", str(proof))
    assert outcome.stdout == f"forgot 1 of 1\nno byte of them is left; {proof} testifies to it\n"
    assert "choose a new file" in call("forget", "2", "--receipt", str(proof)).stderr
    outcome = call("memory", "receipt", str(proof), "--text", str(text))
    assert outcome.stdout.splitlines() == [
        "signed by this store",
        "the access log has its entry, and is unchanged",
        "the receipt holds",
    ]
    assert call("memory", "log", "--receipt", str(proof), "--json").json["ok"]
    call("remember", filled[0])
    outcome = call("memory", "receipt", str(proof), "--text", str(text))
    assert outcome.code == 1
    assert "text.txt is in catalogue.sqlite" in outcome.stdout
    proof.write_text(proof.read_text().replace('"files"', '"ids"', 1))
    assert call("memory", "receipt", str(proof)).code == 1


def test_a_changed_log_is_told(call, filled, words):
    outcome = call("memory", "log")
    assert outcome.stdout.startswith("unchanged (")
    (path,) = Path(call("stats", "--json").json["path"]).glob("privacy/access/*.log")
    path.write_bytes(path.read_bytes().replace(b'"remember"', b'"recalled"'))
    outcome = call("memory", "log")
    assert outcome.code == 1
    assert "CHANGED" in outcome.stdout


def test_by_words_only_needs_no_model(call, filled, words):
    words.clear()
    outcome = call("recall", "cats", "--words-only", "--json")
    assert outcome.json["hits"][0]["text"] == filled[1]
    assert not words
    assert outcome.stderr == ""


def test_nothing_found(call, filled):
    assert call("recall", "key", "--until", "2001-01-01").stdout == "nothing found\n"


def test_stats_and_verify(call, filled):
    stats = call("stats", "--json").json
    assert (stats["records"], stats["dimension"]) == (3, 64)
    assert "memories" in call("stats").stdout
    outcome = call("verify", "memory", "--json")
    assert (outcome.code, outcome.json["ok"], outcome.json["records"]) == (0, True, 3)
    assert "undamaged" in call("verify", "memory").stdout


def test_texts_cannot_steer_the_terminal(call):
    call("remember", "evil \x1b[2J text\nsecond line")
    shown = call("recall", "evil").stdout
    assert "\x1b" not in shown
    assert "   evil \\x1b[2J text\n   second line\n" in shown


def test_long_texts_are_cut_unless_asked_for(call):
    call("remember", "start " + "x" * 5000)
    assert len(call("recall", "start").stdout) < 1000
    assert len(call("recall", "start", "--full").stdout) > 5000


def test_the_settings_have_the_defaults_of_the_store():
    from arrowmind.config import MemorySettings
    from arrowmind.memory import RecallSettings, StoreSettings

    ours, recall = MemorySettings(), RecallSettings()
    assert (ours.vector_weight, ours.text_weight) == (recall.vector_weight, recall.text_weight)
    assert ours.flush_rows == StoreSettings().flush_rows


def test_copies(call, filled):
    assert call("memory", "backup", "copy", "--json").json["bytes"] > 0
    assert call("recall", "key", "--store", "copy", "--json").json["hits"][0]["text"] == filled[0]
    assert call("memory", "export", "out", "--json").json["memories"] == 3
    assert call("memory", "import", "out", "--store", "second", "--json").json["count"] == 3
    assert call("memory", "import", "out", "--store", "third", "--model", "mine").code == 0
    assert call("stats", "--store", "second", "--json").json["records"] == 3
    again = call("memory", "export", "out")
    assert again.code == 1
    assert "is there already" in again.stderr
    assert call("memory", "import", "nowhere", "--store", "second").code == 1


def test_upkeep(call, filled):
    call("forget", "1")
    assert call("memory", "compact", "--json").json["removed"] in (0, 1)
    assert call("memory", "verify").stdout == "undamaged (2 memories, 0 segments)\n"
    assert call("memory", "stats", "--json").json["records"] == 2
    blob = Path("memory/catalogue.sqlite").read_bytes()
    assert b"blue pot" not in blob


@pytest.fixture
def sessions(call, words):
    """Two conversations side by side, and one on another day."""
    texts = [("a", "I bought a red kayak", "2026-03-01T10:00Z"), ("b", "my oven broke", "2026-03-01T10:01Z")]
    texts += [
        ("a", "for the long lake", "2026-03-01T10:02Z"),
        ("c", "it rained all day", "2026-03-05T10:00Z"),
    ]
    rows = [{"text": text, "metadata": {"session": name}, "timestamp": at} for name, text, at in texts]
    assert call("remember", "--jsonl", stdin="\n".join(map(json.dumps, rows))).code == 0


@pytest.mark.usefixtures("sessions")
def test_episodes(call):
    found = call("recall", "kayak", "--episodes", "--hits", "1", "--json").json
    assert (found["query"], found["by"]) == ("kayak", None)
    assert [episode["ids"] for episode in found["episodes"]] == [[1, 2, 3], [4]]
    assert [hit["text"] for hit in found["episodes"][0]["hits"]] == ["I bought a red kayak"]
    assert found["episodes"][0]["parts"]["best"] > 0
    by = call("recall", "kayak", "--episodes", "--by", "metadata.session", "--json").json
    assert (by["episodes"][0]["value"], by["episodes"][0]["ids"]) == ("a", [1, 3])
    lines = call("recall", "kayak", "--episodes", "--by", "metadata.session", "-k", "1").stdout.splitlines()
    assert lines[0].startswith("1. [")
    assert lines[0].endswith(", a, 2026-03-01 10:00 to 10:02, 2 memories: #1 #3]")
    assert lines[2] == "   I bought a red kayak"
    assert len(lines) == 5
    assert call("recall", "kayak", "--episodes", "--since", "2030-01-01").stdout == "nothing found\n"
    assert len(call("recall", "kayak", "--episodes", "--json", "-k", "1").json["episodes"]) == 1


@pytest.mark.usefixtures("sessions")
def test_why_something_was_found(call):
    plain, told = (
        call("recall", "kayak", "-k", "1", *more).stdout.splitlines() for more in ([], ["--explain"])
    )
    assert told[:2] == plain
    parts = dict(reversed(part.split()) for part in re.findall(r"[+-]\S+ \w+", told[2]))
    assert sum(map(float, parts.values())) == pytest.approx(float(told[0][4:9]), abs=0.01)
    lines = call("recall", "kayak", "--episodes", "--explain", "-k", "1", "--hits", "1").stdout.splitlines()
    assert re.match(r"   [+-]\d+\.\d{3} best ", lines[1])
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--by", "category"], "add --episodes"),
        (["--hits", "2"], "add --episodes"),
        (["--episodes", "--by", "session"], "metadata.NAME"),
        (["--episodes", "--hits", "0"], "hits=0"),
        (["--episodes", "-k", "0"], "top_k=0"),
        (["--episodes", "--image", "picture"], "--episodes takes no --image"),
    ],
)
@pytest.mark.usefixtures("sessions")
def test_mistakes_about_episodes(call, options, part):
    Path("picture").write_bytes(b"x")
    outcome = call("recall", "kayak", *options)
    assert outcome.code == 1
    assert part in outcome.stderr


def test_ids_in_short():
    assert spans_of([]) == ""
    assert spans_of([3, 4, 5, 9, 11, 12]) == "#3-5 #9 #11-12"
    assert spans_of(range(1, 40, 2)).endswith("#15 ...")
