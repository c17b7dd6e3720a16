from __future__ import annotations

import dataclasses

import pytest

from arrowmind.config import Config, PrivacySettings, load_config
from arrowmind.errors import ConfigurationError, PermissionDeniedError
from arrowmind.privacy import Access, Redactor, known_kinds, open_privacy, read_log
from arrowmind.privacy.redactor import MODES

HEX = "0f" * 32


def test_the_defaults_can_be_opened(tmp_path):
    privacy = open_privacy(Config().privacy, tmp_path / "privacy")
    assert privacy.redactor.redact("4111 1111 1111 1111, joe@example.com").text == "<CARD>, joe@example.com"
    privacy.guard.check(privacy.principal, "export")
    privacy.log.record(Access("recall", caller=privacy.principal))
    privacy.close()
    assert [entry["action"] for entry in read_log(tmp_path / "privacy" / "access")] == ["log.start", "recall"]


def test_the_settings_know_what_the_room_knows():
    assert set(PrivacySettings().redact) <= set(known_kinds())
    assert PrivacySettings.__dataclass_fields__["redact_mode"].metadata["choices"] == MODES


def test_all_of_it_from_a_file(tmp_path, monkeypatch):
    key = tmp_path / "key"
    key.write_text(HEX)
    key.chmod(0o600)
    (tmp_path / "c.yaml").write_text(
        "privacy:\n  redact: [email, phone]\n  redact_mode: pseudonym\n"
        f"  vault: {tmp_path / 'vault'}\n  vault_key: file:{key}\n  access_log: each\n"
        "  roles: [anna writer notes-*, root admin *]\n  principal: anna\n"
    )
    privacy = open_privacy(load_config(tmp_path / "c.yaml", {}).privacy, tmp_path / "p")
    assert privacy.redactor.redact("to joe@example.com").text == "to <EMAIL_1>"
    assert (tmp_path / "vault" / "vault.key").is_file()
    privacy.guard.check(privacy.principal, "remember", "notes-1")
    with pytest.raises(PermissionDeniedError):
        privacy.guard.check(privacy.principal, "remember", "diary")
    (refused,) = [entry for entry in read_log(tmp_path / "p" / "access") if "allowed" in entry]
    assert refused["caller"] == "anna"


def test_nothing_to_redact_and_no_log(tmp_path):
    settings = PrivacySettings(redact=("none",), access_log="off")
    privacy = open_privacy(settings, tmp_path)
    assert (privacy.redactor, privacy.log) == (None, None)
    privacy.close()
    with_names = open_privacy(
        settings, tmp_path, names=type("N", (), {"find_names": lambda *_: [(0, 1, 1)]})()
    )
    assert with_names.redactor.redact("Bo").text == "<PERSON>o"


def test_keys_from_other_places(tmp_path, monkeypatch):
    settings = PrivacySettings(redact=("email",), redact_mode="pseudonym")
    monkeypatch.delenv("ARROWMIND_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="set ARROWMIND_KEY"):
        open_privacy(settings, tmp_path)
    monkeypatch.setenv("ARROWMIND_KEY", HEX)
    assert isinstance(open_privacy(settings, tmp_path).redactor, Redactor)
    with pytest.raises(ConfigurationError, match="write file:PATH"):
        open_privacy(dataclasses.replace(settings, vault_key="gopher:x"), tmp_path)


@pytest.mark.parametrize("key", ["redact_mode", "access_log"])
def test_a_mistake_never_means_less_privacy(key, tmp_path):
    with pytest.raises(ConfigurationError, match=key):
        load_config(None, {f"ARROWMIND_PRIVACY_{key.upper()}": "oops"})


def test_unknown_kinds_and_wrong_rules_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="did you mean 'card'"):
        open_privacy(PrivacySettings(redact=("cards",)), tmp_path)
    with pytest.raises(ConfigurationError, match="is no rule"):
        open_privacy(PrivacySettings(roles=("anna",)), tmp_path)
