"""How something is told: by who, what happened, what it names."""

from __future__ import annotations

import pytest
from tests.memory.ranking.pools import random_pool

from arrowmind.memory.ranking.memories import Told
from arrowmind.memory.ranking.question import make_question, speaker_of
from arrowmind.memory.ranking.signals.telling import SIGNALS

NOTHING = {"of_oneself": 0.0, "happened": 0.0, "named": 0.0}


def signals_of(text, rng):
    pool = random_pool(rng, 1)
    pool.told[0] = Told(text, 0, speaker_of(text))
    question = make_question("who?", None)
    return {name: round(float(signal(question, pool)[0]), 3) for name, signal in SIGNALS.items()}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", {}),
        ("Ann: Thanks! That is so kind of you.", {}),
        ("Ann: I went there with my kids", {"of_oneself": 0.5, "happened": 0.25}),
        ("we talked, and talked again", {"of_oneself": 0.25, "happened": 0.25}),
        ("Ann: the train to Lisbon and Porto. The rest is easy", {"named": 0.667}),
        ("Ann: so I see [shares a photo of Anna and Lisa in Rome]", {"of_oneself": 0.25}),
        ("my my my my my my", {"of_oneself": 1.0}),
        ("\u6211\u4eca\u5929\u53bb\u4e86\u5317\u4eac", {}),
    ],
)
def test_counts(text, told, rng):
    assert signals_of(text, rng) == {**NOTHING, **told}
