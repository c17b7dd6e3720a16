"""The examples of the guide to encrypted stores do what it says."""

from __future__ import annotations

import contextlib
import io

import pytest
from tests.docs.pages import blocks

PAGE = "docs/guide/encrypted-stores.md"


def test_the_example(tmp_path, monkeypatch):
    pytest.importorskip("sqlcipher3", reason="pip install 'arrowmind[encryption]'")
    monkeypatch.chdir(tmp_path)
    printed = ""
    for language, body in blocks(PAGE):
        if language == "output":
            assert printed == body
        elif language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(body, PAGE, "exec"), {})
            printed = out.getvalue()
