"""convert and verify on a tiny model folder."""

from __future__ import annotations

from pathlib import Path


def test_convert(call, source):
    outcome = call("convert", source, "--output", "models/tiny", "--json")
    assert outcome.code == 0
    assert (outcome.json["tensors"], outcome.json["lossless"]) == (2, True)
    assert {path.name for path in Path("models/tiny").iterdir()} == set(outcome.json["files"])
    again = call("convert", source, "--output", "models/tiny")
    assert again.code == 1
    assert "models/tiny exists" in again.stderr
    assert "2 tensors" in call("convert", source, "--output", "models/tiny", "--force").stdout


def test_convert_to_formats_and_types(call, source):
    call("convert", source, "-o", "half", "--dtype", "fp16", "--format", "native", "--format", "parquet-v1")
    assert {"weights.arrow", "weights.parquet"} <= {path.name for path in Path("half").iterdir()}
    assert call("convert", source, "-o", "x", "--dtype", "fp8").code == 1
    assert call("convert", source, "-o", "x", "--format", "gguf").code == 1
    assert call("convert", source).code == 2
    assert not Path("x").exists()


def test_verify_finds_damage(call, source):
    call("convert", source, "-o", "m")
    outcome = call("verify", "m", "--json")
    assert (outcome.code, outcome.json["ok"], outcome.json["tensors"]) == (0, True, 2)
    assert "undamaged" in call("verify", "m/weights.arrow").stdout
    data = bytearray(Path("m/weights.arrow").read_bytes())
    data[4096] ^= 1
    Path("m/weights.arrow").write_bytes(data)
    outcome = call("verify", "m")
    assert outcome.code == 1
    assert outcome.stdout.startswith("bad: ")
    assert "DAMAGED" in outcome.stdout
    assert call("verify", "nowhere").code == 1
