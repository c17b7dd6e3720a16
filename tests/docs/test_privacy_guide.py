"""The examples of the guide to privacy print what it says, and its tables are those of the code."""

from __future__ import annotations

import contextlib
import io
import re
import shlex

from tests.docs.pages import ROOT, blocks, table_rows

from arrowmind.cli.main import run
from arrowmind.config import Config, keys, load_config
from arrowmind.privacy import known_kinds, open_privacy, standard_kinds
from arrowmind.privacy.roles import ACTIONS, ROLES

PAGE = "docs/guide/privacy.md"


def test_every_block_in_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names, printed = {}, ""
    for language, body in blocks(PAGE):
        if language == "output":
            assert printed == body
        elif language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(body, PAGE, "exec"), names)
            printed = out.getvalue()
        elif language == "sh":
            run_shell(body, monkeypatch, capsys)
        else:
            (tmp_path / "c.yaml").write_text(body)
            config = load_config(tmp_path / "c.yaml", {}, strict=True)
            open_privacy(config.privacy, tmp_path / "p").close()


def run_shell(lines, monkeypatch, capsys):
    for line in lines.splitlines():
        echo, arrowmind = line.split(" | ")
        text = io.TextIOWrapper(io.BytesIO(shlex.split(echo)[1].encode()))
        monkeypatch.setattr("sys.stdin", text)
        assert run(shlex.split(arrowmind)[1:]) == 0
        assert "4111" not in capsys.readouterr().out


def test_the_kinds():
    rows = table_rows(PAGE, "Taking private data out")
    listed = {kind: row[3] == "yes" for row in rows for kind in re.findall(r"`(\w+)`", row[0])}
    assert listed == {kind: kind in standard_kinds() for kind in known_kinds()}


def test_the_roles():
    rows = table_rows(PAGE, "Who may do what")
    assert [row[0].strip("`") for row in rows] == list(ROLES)
    for (_, actions), role in zip(rows[:1] + rows[2:4], ("reader", "operator", "auditor"), strict=True):
        assert {word for word in re.findall(r"\w+", actions) if word in ACTIONS} == ROLES[role]


def test_the_settings():
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    section = text.split("## Settings")[1]
    names = {key.name for key in keys(Config).values() if key.section == "privacy"}
    assert names <= set(re.findall(r"`(\w+)`", section))
