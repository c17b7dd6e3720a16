"""Links between the pages lead somewhere, and every page of the guide is linked."""

from __future__ import annotations

import re

import pytest
from tests.docs.pages import ROOT

PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "csrc/*.md", "third_party/*.md")
    for path in ROOT.glob(pattern)
)


def links(page):
    """Targets of the relative links of a page, without what follows `#`."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link.partition("#")[0] for link in found if not re.match(r"[a-z]+:|#", link)]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    missing = [link for link in links(page) if not (ROOT / page.parent / link).exists()]
    assert missing == []


def test_the_guide_is_reached_from_its_first_page():
    first = ROOT / "docs" / "guide" / "getting-started.md"
    linked = {(first.parent / link).resolve() for link in links(first.relative_to(ROOT))}
    assert {*first.parent.glob("*.md")} - {first} <= linked
