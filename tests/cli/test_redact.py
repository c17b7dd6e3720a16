from __future__ import annotations

from pathlib import Path

import pytest

TEXT = "Pay 4111 1111 1111 1111\nand write to anna@example.com.\n"
HEX = "0f" * 32


@pytest.fixture
def key_file():
    Path("key").write_text(HEX)
    Path("key").chmod(0o600)
    return "key"


def test_from_a_pipe(call):
    outcome = call("redact", stdin=TEXT)
    assert (outcome.code, outcome.stdout) == (0, "Pay <CARD>\nand write to anna@example.com.\n")
    assert outcome.stderr == "arrowmind: taken out: 1 card\n"
    assert call("redact", "-", "--quiet", stdin=TEXT).stderr == ""


def test_line_ends_stay(shell):
    done = shell(code="from arrowmind.cli import main; main(['redact', '-q'])", stdin=b"a\r\nb\nc")
    assert done.stdout == "a\r\nb\nc"


def test_from_a_file_with_options(call):
    Path("t").write_bytes(TEXT.encode())
    assert call("redact", "t", "--kind", "email", "--mode", "remove").stdout.endswith("write to .\n")
    assert "<EMAIL>" in call("redact", "t", "--kind", "all").stdout
    assert "<EMAIL>" in call("redact", "t", "--set", "privacy.redact=email").stdout


def test_as_json(call):
    data = call("redact", "--json", stdin=TEXT).json
    assert data["spans"] == [{"start": 4, "end": 23, "kind": "card", "confidence": 0.95}]
    assert data["counts"] == {"card": 1}
    assert data["text"].startswith("Pay <CARD>")


def test_a_check(call):
    Path("t").write_bytes(TEXT.encode())
    outcome = call("redact", "t", "--check", "--kind", "all")
    assert (outcome.code, outcome.stdout) == (1, "t:1:5: card (0.95)\nt:2:14: email (0.95)\n")
    assert "4111" not in outcome.stdout
    assert call("redact", "t", "--check", "--kind", "phone").code == 0


def test_pseudonyms_there_and_back(call, key_file):
    options = ["--vault", "vault", "--key-file", key_file, "--namespace", "work"]
    redacted = call("redact", "--mode", "pseudonym", "--kind", "all", *options, stdin=TEXT).stdout
    assert redacted == "Pay <CARD_1>\nand write to <EMAIL_1>.\n"
    assert call("redact", "--reveal", *options, stdin=redacted).stdout == TEXT
    assert call("redact", "--reveal", *options[:-1], "other", stdin=redacted).stdout == redacted


def test_pseudonyms_by_settings(call, key_file):
    Path("arrowmind.yaml").write_text(
        "privacy:\n  redact: [email]\n  redact_mode: pseudonym\n  vault: v\n  vault_key: file:key\n"
    )
    assert "<EMAIL_1>" in call("redact", stdin=TEXT).stdout
    assert (Path("v") / "vault.key").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none"], "cannot be read"),
        (["--kind", "cards"], "did you mean 'card'"),
        (["--mode", "blur"], "mask, pseudonym, remove"),
        (["--mode", "pseudonym", "--key-file", "key"], "give --vault"),
    ],
)
def test_what_cannot_be_is_told(call, key_file, words, message):
    outcome = call("redact", *words, stdin=TEXT)
    assert outcome.code == 1
    assert message in outcome.stderr
    assert outcome.stdout == ""


def test_what_is_no_text(call):
    Path("t").write_bytes(b"ab\xff")
    assert "not UTF-8 at byte 2" in call("redact", "t").stderr


def test_the_command_imports_no_cryptography(shell):
    code = "import sys; from arrowmind.cli import main; main(['redact', '-']); print(sorted(sys.modules))"
    modules = shell(code=code, stdin=b"x").stdout
    assert "'arrowmind.privacy.redactor'" in modules
    assert not any(f"'{name}'" in modules for name in ("cryptography", "pyarrow"))
