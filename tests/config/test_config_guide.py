"""The guide lists every key as it is."""

from __future__ import annotations

import pathlib
import re

from arrowmind.config import Config, keys

GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "guide" / "configuration.md"


def row(key):
    default = ", ".join(key.default) if key.is_list else str(key.default)
    default = default.lower() if key.type_name == "bool" else default
    cells = (f"`{key.path}`", f"`{key.env}`", f"`{default}`" if default else "(empty)", key.allowed, key.doc)
    return f"| {' | '.join(cells)} |"


def test_the_table_is_that_of_the_dataclasses():
    expected = [row(key) for key in keys(Config).values()]
    found = [line for line in GUIDE.read_text().splitlines() if line.startswith("| `")]
    assert found == expected, "the table in configuration.md should read:\n" + "\n".join(expected)


def test_the_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), flags=re.DOTALL | re.MULTILINE)
    names = {}
    exec(compile(code, str(GUIDE), "exec"), names)
    assert names["config"].memory.top_k == 3
    assert (tmp_path / "elsewhere" / "catalogue.sqlite").is_file()
