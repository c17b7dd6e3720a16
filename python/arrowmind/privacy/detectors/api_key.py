"""Keys and tokens of services, by the prefixes that they give them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from arrowmind.privacy.detector import Detector
from arrowmind.privacy.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DETECTORS"]

# What a key begins with, and the rest of it.
_FORMS = (
    ("A", r"(?:KIA|SIA|GPA|IDA|ROA|NPA|3T[A-Z0-9])[A-Z0-9]{16}"),  # Amazon
    ("A", r"Iza[\w-]{35}"),  # Google
    ("G", r"OCSPX-[\w-]{20,64}"),
    ("y", r"a29\.[\w-]{20,255}"),
    ("A", r"KID[A-Za-z0-9]{13,40}"),  # Tencent
    ("L", r"TAI[A-Za-z0-9]{12,24}"),  # Alibaba
    ("S", r"G\.[\w-]{16,32}\.[\w-]{32,64}"),  # SendGrid
    ("d", r"ckr_pat_[\w-]{20,64}"),  # Docker
    ("d", r"op_v1_[0-9a-f]{64}"),  # DigitalOcean
    ("g", r"h[opusr]_[A-Za-z0-9]{36,255}"),  # GitHub
    ("g", r"ithub_pat_\w{22,255}"),
    ("g", r"l(?:pat|ptt|dt|rt|cbt|soat)-[\w-]{20,64}"),  # GitLab
    ("h", r"f_[A-Za-z0-9]{30,64}"),  # Hugging Face
    ("n", r"pm_[A-Za-z0-9]{36}"),
    ("p", r"ypi-AgE[\w-]{50,255}"),
    ("rsp", r"k_(?:live|test)_[A-Za-z0-9]{16,255}"),  # Stripe
    ("s", r"hp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),  # Shopify
    ("s", r"k-[\w-]{20,255}"),  # OpenAI, Anthropic and others
    ("s", r"q0[a-z]{3}-[\w-]{22,43}"),  # Square
    ("x", r"ai-[A-Za-z0-9]{40,128}"),
    ("x", r"ox[abeoprs]-[A-Za-z0-9-]{10,255}"),  # Slack
    ("0-9", r"[0-9]{7,9}:AA[\w-]{33}"),  # Telegram
)
_FIRST = "".join(sorted({first for first, _ in _FORMS}))
_REST = "|".join(f"(?<=[{first}]){rest}" for first, rest in _FORMS)
_KEY = re.compile(rf"[{_FIRST}](?<![\w-].)(?:{_REST})(?![\w-])", re.ASCII)


def _find(text: str) -> Iterator[Span]:
    for match in _KEY.finditer(text):
        yield Span(match.start(), match.end(), "secret", 0.95)


DETECTORS = (Detector("secret", _find),)
