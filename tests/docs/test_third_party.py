"""Every dependency has its licence, every vendored folder its line."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT, table_rows

PAGE = "third_party/README.md"


def test_every_runtime_dependency_is_named_with_a_licence():
    text = (ROOT / "pyproject.toml").read_text()
    required = re.search(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL).group(1)
    rows = table_rows(PAGE, "What runs")
    assert [row[0] for row in rows] == sorted(re.findall(r'^  "([\w-]+)', required, re.MULTILINE))
    assert all(row[1] and row[2] for row in rows)


def test_every_vendored_folder_is_named():
    text = (ROOT / PAGE).read_text()
    for folder in (path for path in (ROOT / "third_party").iterdir() if path.is_dir()):
        assert f"| {folder.name} |" in text
