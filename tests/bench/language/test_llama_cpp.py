"""llama.cpp on files that our exporter writes: the same answers."""

from __future__ import annotations

import pytest
from tests.bench.language.small import job_of

from arrowmind.bench.language import llama_cpp, ours
from arrowmind.bench.statistics import cosines

pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed; `make bench-llm` installs it")
IDS = [5, 6, 7, 100, 200]


@pytest.mark.parametrize(("form", "near"), [("F16", 0.9999), ("Q8_0", 0.998), ("Q4_0", 0.8), ("Q2_K", 0.0)])
def test_its_logits_are_ours(tmp_path, form, near):
    mine, theirs = job_of(tmp_path, "arrowmind-fp16"), job_of(tmp_path, f"llama.cpp-{form}")
    ours.prepare(mine)
    assert llama_cpp.prepare(theirs) == llama_cpp.prepare(theirs)
    session = llama_cpp.open_session(theirs)
    assert session.weight_bytes > 0
    wanted = ours.open_session(mine).feed(IDS)
    found = session.feed(IDS).copy()
    assert cosines(found[None], wanted[None])[0] > near
    session.restart()
    assert cosines(session.feed(IDS)[None], found[None])[0] > 0.999999
