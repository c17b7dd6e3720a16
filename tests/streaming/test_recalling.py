"""Which blocks a question needs: those that share rare runs of tokens with it, those whose keys are alike."""

from __future__ import annotations

import numpy as np
import pytest
from tests.streaming.blocks import DIMENSION, IDENTITY, SEED, TOKENS, block

from arrowmind.errors import InvalidArgumentError
from arrowmind.streaming import (
    BlockStore,
    RecallWeights,
    TermCounts,
    block_terms,
    find_blocks,
    overlap_of,
    query_terms,
    store,
)
from arrowmind.streaming.terms import terms_at


def text(count):
    """Tokens of a text in which 50 tokens are common and the others are not."""
    rng = np.random.default_rng([SEED, 99])
    return np.where(rng.random(count) < 0.8, rng.integers(0, 50, count), rng.integers(50, 1000, count))


def stored(tokens, folder):
    kept = BlockStore(IDENTITY, folder)
    for number in range(len(tokens) // TOKENS):
        begin = number * TOKENS
        part = tokens[begin : begin + TOKENS]
        kept.append(block(number, "reduced", part, tokens[max(0, begin - TOKENS) : begin]))
    return kept


def test_terms_are_runs_and_depend_on_nothing_else():
    tokens = [3, 1, 4, 1, 5, 9, 2, 6, 3, 1, 4]
    found = terms_at(tokens)
    assert found.shape == (11, 3)
    assert found[0, 1] == found[0, 2] == found[1, 2] == 0
    assert found[10].tolist() == found[2].tolist()  # 3 1 4
    assert found[1, 0] == found[3, 0]
    assert found[1, 1] != found[3, 1]
    assert len(np.unique(found[found > 0])) == 7 + 8 + 8
    assert set(query_terms(tokens)) == set(found[found > 0].tolist())
    for count in (0, 1, 2):
        assert terms_at(tokens[:count]).shape == (count, 3)


def test_a_block_has_terms_of_what_is_before_it():
    tokens = list(range(100, 100 + 2 * TOKENS))
    across = tokens[TOKENS - overlap_of(TOKENS) : TOKENS + 2]
    terms = set(block_terms(tokens[TOKENS:], tokens[:TOKENS]).tolist())
    assert set(query_terms(across).tolist()) <= terms
    before = tokens[TOKENS - overlap_of(TOKENS) - 1 : TOKENS - 2]
    assert not set(query_terms(before).tolist()) <= terms


@pytest.mark.parametrize("part_blocks", [7, 256])
def test_runs_of_tokens_are_found_wherever_they_stand(tmp_path, monkeypatch, part_blocks):
    """From every place of the text five tokens, those across two blocks among them."""
    monkeypatch.setattr(store, "_PART_BLOCKS", part_blocks)
    tokens = text(40 * TOKENS)
    with_store = stored(tokens, tmp_path)
    for place in range(0, len(tokens) - 6, 7):
        found = find_blocks(with_store, tokens[place : place + 5].tolist(), 3)
        # What follows the five is in the block that they end in, or the next.
        assert (place + 5) // TOKENS in [one.number for one in found], place
        assert [one.number for one in found] == sorted(one.number for one in found)
        assert all(0 < one.score <= 1 and one.overlap > 0 for one in found)
    with_store.close()


def test_summaries_find_what_is_alike(tmp_path):
    kept = BlockStore(IDENTITY, tmp_path)
    centre = np.full(DIMENSION, 10, np.float32)
    wanted = np.zeros(DIMENSION, np.float32)
    wanted[2] = 3
    for number in range(40):
        noise = block(number).summary
        kept.append(block(number, summary=centre + (wanted if number == 17 else 0.3 * noise)))
    weights = RecallWeights(text=0, vector=1)
    found = find_blocks(kept, [1, 2], 1, summary=centre + wanted, weights=weights)
    assert [one.number for one in found] == [17]
    assert found[0].cosine > 0.9
    both = find_blocks(
        kept, block(5).tokens.tolist(), 3, summary=centre + wanted, weights=RecallWeights(1, 1)
    )
    assert {5, 17} <= {one.number for one in both}
    kept.close()


def test_nothing_is_found_where_nothing_is(tmp_path):
    kept = BlockStore(IDENTITY, tmp_path)
    assert find_blocks(kept, [1, 2, 3], 4) == []
    kept.append(block(0, tokens=np.arange(TOKENS)))
    assert find_blocks(kept, [500, 501], 4) == []
    assert find_blocks(kept, [], 4) == []
    assert find_blocks(kept, [1], 0) == []
    assert [one.number for one in find_blocks(kept, [1], 4)] == [0]
    kept.close()


def test_rarity_counts_blocks():
    counts = TermCounts()
    for _ in range(9):
        counts.add(np.array([0, 7, 7], np.uint32))
    counts.add(np.array([8], np.uint32))
    assert counts.rarity(np.array([7], np.uint32)) == pytest.approx(np.log(11 / 10))
    assert counts.rarity(np.array([8], np.uint32)) == pytest.approx(np.log(11 / 2))
    assert counts.rarity(np.array([0], np.uint32)) == 0


@pytest.mark.parametrize(
    ("text_weight", "vector_weight"), [(-1, 1), (0, 0), (float("nan"), 1), (1, float("inf"))]
)
def test_weights_out_of_range(text_weight, vector_weight):
    with pytest.raises(InvalidArgumentError, match="weight"):
        RecallWeights(text_weight, vector_weight)
