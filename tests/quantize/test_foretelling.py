"""What the check of language models measures, on models whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from arrowmind.errors import InvalidArgumentError
from arrowmind.quantize import Thresholds, check
from arrowmind.quantize.foretelling import foretell
from arrowmind.quantize.measures import LANGUAGE

TEXTS = ["abcdefghijklmnopqrstuvwxyz" * 2, "zyxwv", "a", ""]
FREE = dict.fromkeys(("perplexity_ratio", "kl_mean", "kl_99"), 1e9)
ANY = Thresholds(**FREE, top1_agreement=0, generation_agreement=0)


class Bigram:
    """Foretells by the last letter alone: log likelihoods are rows of a table."""

    max_tokens = 40

    def __init__(self, table):
        self.table = table

    def tokenise(self, text):
        return [ord(letter) - ord("a") for letter in text]

    def detokenise(self, ids):
        return "".join(chr(ord("a") + one) for one in ids)

    def logits(self, prompt):
        assert len(prompt) <= self.max_tokens
        return self.table[list(prompt)]


def table(seed, letters=26):
    return np.random.default_rng(seed).normal(0, 2, (26, letters)).astype(np.float32)


def shares(rows):
    powers = np.exp(rows.astype(float))
    return powers / powers.sum(axis=1, keepdims=True)


def test_a_model_is_like_itself_whatever_its_logits_are_shifted_by():
    report = check(Bigram(table(1)), Bigram(table(1) + np.float32(3)), TEXTS, Thresholds())
    assert report.passed
    assert report.perplexity_ratio == pytest.approx(1, abs=1e-6)
    assert report.kl_mean == pytest.approx(0, abs=1e-9)
    assert (report.top1_agreement, report.generation_agreement) == (1, 1)
    # 51 tokens of the first text in two pieces, whose first tokens nothing foretells; 4 of the second.
    assert report.tokens == 39 + 11 + 4
    assert (report.cosine_mean, report.texts) == (None, 4)


def test_figures_are_those_of_the_definition():
    left, right = table(1), table(2)
    told = foretell(Bigram(left), Bigram(right), ["abcde"])
    p, q = shares(left[:4]), shares(right[:4])
    assert told.divergence == pytest.approx((p * np.log(p / q)).sum(axis=1))
    targets = [1, 2, 3, 4]
    original, judged = (math.exp(-np.log(side[np.arange(4), targets]).mean()) for side in (p, q))
    assert told.perplexities == pytest.approx((original, judged))
    assert told.agree.tolist() == (p.argmax(1) == q.argmax(1)).tolist()
    assert told.generated is None


def test_what_is_written_is_held_against_the_original():
    left, right = table(1), table(1)
    right[3] = table(2)[3]
    ids, wrong = list(range(12)), 0
    while len(ids) < 36:
        ids.append(int(right[ids[-1]].argmax()))
        wrong += ids[-1] != int(left[ids[-2]].argmax())
    told = foretell(Bigram(left), Bigram(right), [TEXTS[0][:12]])
    assert told.generated == 1 - wrong / 24


@pytest.mark.parametrize("bad", [np.full((26, 26), np.nan, np.float32), table(2, 27)], ids=["NaN", "shape"])
def test_what_cannot_be_compared_is_far(bad):
    report = check(Bigram(table(1)), Bigram(bad), TEXTS, Thresholds())
    assert report.verdict == "refused"
    assert report.kl_mean >= 100
    assert report.top1_agreement == 0
    assert all(getattr(report, measure.name) is not None for measure in LANGUAGE)
    report.to_dict()


def test_each_threshold_counts_and_the_report_says_which_way():
    assert check(Bigram(table(1)), Bigram(table(2)), TEXTS, ANY).passed
    for name, value in [
        ("perplexity_ratio", 1.0),
        ("kl_mean", 0.01),
        ("kl_99", 0.1),
        ("top1_agreement", 0.9),
    ]:
        asked = Thresholds(**{**vars(ANY), name: value})
        report = check(Bigram(table(1)), Bigram(table(2)), TEXTS, asked)
        assert report.verdict == "refused"
        with pytest.raises(Exception, match=f"at {'least' if 'top' in name else 'most'} {value} needed"):
            report.raise_if_refused()
        assert "perplexity" in str(report)


def test_models_of_two_kinds_and_texts_without_tokens():
    with pytest.raises(InvalidArgumentError, match="one model is an encoder"):
        check(Bigram(table(1)), lambda texts: np.ones((len(texts), 2)), TEXTS)
    with pytest.raises(InvalidArgumentError, match="two tokens"):
        check(Bigram(table(1)), Bigram(table(1)), ["a", ""])
