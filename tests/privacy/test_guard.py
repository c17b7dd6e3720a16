"""Roles: what each may do, and that nothing else is."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowmind.errors import ConfigurationError, InvalidArgumentError, PermissionDeniedError
from arrowmind.privacy import AccessLog, Guard, load_store_key, parse_rules, read_log
from arrowmind.privacy.roles import ACTIONS, ROLES

RULES = ["anna writer notes-*", "* reader public", "root admin *", "night operator *", "eve auditor *"]


def test_without_rules_everything_is_allowed():
    for action in ACTIONS:
        Guard().check("anybody", action, "anything")


@pytest.mark.parametrize(
    ("principal", "action", "namespace", "allowed"),
    [
        ("anna", "remember", "notes-work", True),
        ("anna", "forget", "notes-work", True),
        ("anna", "recall", "notes-work", True),
        ("anna", "remember", "public", False),
        ("anna", "recall", "public", True),
        ("anna", "recall", "diary", False),
        ("anna", "recall", "", False),  # the store as a whole
        ("anna", "export", "notes-work", False),
        ("Anna", "remember", "notes-work", False),
        ("bob", "recall", "public", True),
        ("bob", "recall", "notes-work", False),
        ("night", "consolidate", "notes-work", True),
        ("night", "compact", "", True),
        ("night", "recall", "notes-work", False),
        ("eve", "audit", "notes-work", True),
        ("eve", "get", "notes-work", False),
        ("root", "reveal", "diary", True),
    ],
)
def test_rules(principal, action, namespace, allowed):
    guard = Guard.from_lines(RULES)
    assert guard.allows(principal, action, namespace) == allowed
    if not allowed:
        with pytest.raises(PermissionDeniedError, match=action):
            guard.check(principal, action, namespace)


@given(st.text(min_size=1), st.sampled_from(ACTIONS), st.text())
def test_what_no_rule_names_is_refused(principal, action, namespace):
    assert Guard.from_lines(["? reader ?"]).allows(principal, action, namespace) == (
        len(principal) == 1 and len(namespace) == 1 and action in ROLES["reader"]
    )


def test_operators_and_auditors_see_no_text():
    for role in ("operator", "auditor"):
        assert not ROLES[role] & {"recall", "get", "export", "reveal"}
    assert set(ACTIONS) == ROLES["admin"]


def test_refusals_are_logged(tmp_path, caplog):
    with AccessLog(tmp_path / "access", load_store_key(tmp_path)) as log:
        guard = Guard.from_lines(RULES, log)
        guard.check("anna", "recall", "public")
        with caplog.at_level(logging.WARNING, "arrowmind"), pytest.raises(PermissionDeniedError):
            guard.check("mallory", "export", "diary")
        *_, entry = read_log(tmp_path / "access")
    assert (entry["caller"], entry["action"], entry["namespace"]) == ("mallory", "export", "diary")
    assert entry["allowed"] is False
    assert "mallory" in caplog.text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("anna writer", "PRINCIPAL ROLE NAMESPACE"),
        ("a b c d", "is no rule"),
        ("", "is no rule"),
        ("anna write *", "did you mean 'writer'"),
        ("anna boss *", "use one of: reader"),
    ],
)
def test_what_is_no_rule_is_refused(line, message):
    with pytest.raises(ConfigurationError, match=message):
        parse_rules([line])


def test_an_unknown_action_is_refused():
    with pytest.raises(InvalidArgumentError, match="use one of"):
        Guard().check("anna", "steal", "notes")
