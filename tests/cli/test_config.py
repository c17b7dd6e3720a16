from __future__ import annotations

from pathlib import Path

from arrowmind.config import Config, keys


def settings(outcome):
    return {row["key"]: row for row in outcome.json["settings"]}


def test_every_key_with_its_origin(call, monkeypatch):
    Path("arrowmind.yaml").write_text("memory:\n  top_k: 3\n")
    monkeypatch.setenv("ARROWMIND_DEVICE_THREADS", "2")
    outcome = call("config", "show", "--json", "--set", "log.format=json")
    rows = settings(outcome)
    assert list(rows) == list(keys(Config))
    assert (rows["memory.top_k"]["value"], rows["memory.top_k"]["origin"]) == (3, "arrowmind.yaml:2")
    assert rows["device.threads"]["origin"] == "ARROWMIND_DEVICE_THREADS"
    assert rows["log.format"]["origin"] == "argument"
    assert rows["device.name"]["kind"] == "default"
    assert outcome.json["file"] == "arrowmind.yaml"


def test_verbosity_is_an_argument(call):
    for option, level in (("-v", "info"), ("-vv", "debug"), ("-q", "error")):
        assert settings(call("config", "show", "--json", option))["log.level"]["value"] == level


def test_as_text(call):
    Path("arrowmind.yaml").write_text("quantization: {keep: [a, b]}")
    lines = call("config", "show").stdout.splitlines()
    assert lines[0] == "settings file: arrowmind.yaml"
    assert "quantization.keep a, b arrowmind.yaml:1" in [" ".join(line.split()) for line in lines]


def test_refused_settings_are_shown_too(call):
    Path("arrowmind.yaml").write_text("- a")
    outcome = call("config", "show", "--json")
    assert outcome.code == 1
    assert "must be a mapping" in outcome.json["refused"]
    assert "must be a mapping" in outcome.stderr


def test_nothing_after_config_shows_help(call):
    outcome = call("config")
    assert outcome.code == 2
    assert "show" in outcome.stdout
