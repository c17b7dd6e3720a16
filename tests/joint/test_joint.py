"""Maps between kinds of content, and one vector for any mix of them."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind.errors import InvalidArgumentError, MemoryStoreError
from arrowmind.joint import JOINT_DIMENSION, Alignment, JointEmbedding, Rows
from arrowmind.joint.judging import found_across
from arrowmind.joint.ridge import LEAST_PAIRS, _Solution, fit_map
from arrowmind.joint.state import load, save

DIMENSIONS = {"text": 384, "image": 512, "audio": 384}


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def latent_rows(count, seed, *, topics=24, noise=0.4, missing=0.0):
    """What three encoders say of the same things: each its own random view of some hidden coordinates."""
    world = np.random.default_rng(99)
    views = {kind: world.standard_normal((topics, width)) for kind, width in DIMENSIONS.items()}
    chance = np.random.default_rng(seed)
    hidden = chance.standard_normal((count, topics))
    vectors = {}
    for kind, view in views.items():
        clean = hidden @ view / np.sqrt(topics)
        vectors[kind] = unit(
            clean + noise * chance.standard_normal(clean.shape) + 2.0 * world.standard_normal()
        )
    present = {kind: chance.random(count) >= missing for kind in DIMENSIONS}
    return Rows(vectors, present)


@pytest.fixture(scope="module")
def joint():
    return JointEmbedding(Alignment.fit(latent_rows(400, 1)))


def test_ridge_finds_a_linear_map():
    chance = np.random.default_rng(0)
    source, true = chance.standard_normal((400, 20)).astype(np.float32), chance.standard_normal((20, 30))
    fitted = fit_map(source, (source @ true + 5).astype(np.float32))
    assert fitted.reliability > 0.999
    new = chance.standard_normal((50, 20)).astype(np.float32)
    wanted = unit((new - fitted.source_mean) @ true)
    assert (fitted(new) * wanted).sum(1).min() > 0.999


def test_ridge_of_what_has_nothing_to_do_with_each_other():
    chance = np.random.default_rng(0)
    fitted = fit_map(chance.standard_normal((300, 64)), chance.standard_normal((300, 64)))
    assert fitted.reliability < 0.1


@pytest.mark.parametrize("count", [LEAST_PAIRS, 100, 511, 513])
def test_both_forms_of_the_solution_agree(count):
    chance = np.random.default_rng(count)
    source = chance.standard_normal((count, 512)).astype(np.float64)
    target = chance.standard_normal((count, 3))
    penalty = 0.1 * count * (source - source.mean(0)).__pow__(2).mean()
    centred, wanted = source - source.mean(0), target - target.mean(0)
    solution = _Solution.of(centred, wanted)
    found = solution.matrix(0.1)
    direct = np.linalg.solve(centred.T @ centred + penalty * np.eye(512), centred.T @ wanted)
    np.testing.assert_allclose(found, direct, atol=1e-8)
    np.testing.assert_allclose(solution.apply(centred, 0.1), centred @ direct, atol=1e-8)


def test_too_few_pairs_give_no_map():
    rows = latent_rows(LEAST_PAIRS - 1, 2)
    assert Alignment.fit(rows).maps == {}


def test_each_kind_finds_the_others(joint):
    found = found_across(joint, latent_rows(300, 7))
    print("found across:", found)
    assert found > 0.9


def test_without_pairs_kinds_do_not_meet_by_chance():
    joint = JointEmbedding(Alignment(DIMENSIONS))
    rows = latent_rows(200, 3)
    tokens = {kind: joint.token(kind, rows.vectors[kind]) for kind in DIMENSIONS}
    assert np.abs(tokens["text"] @ tokens["image"].T).max() < 0.35
    # Within a kind likeness is kept.
    own = rows.vectors["image"] @ rows.vectors["image"].T
    assert np.corrcoef(own.ravel(), (tokens["image"] @ tokens["image"].T).ravel())[0, 1] > 0.9


def test_what_is_missing_is_left_out(joint):
    rows = latent_rows(60, 4, missing=0.4)
    whole = joint.embed(rows)
    assert whole.shape == (60, JOINT_DIMENSION)
    rubbish = {kind: np.where(rows.present[kind][:, None], v, 7e5) for kind, v in rows.vectors.items()}
    np.testing.assert_array_equal(joint.embed(Rows(rubbish, rows.present)), whole)
    lengths = np.linalg.norm(whole, axis=1)
    some = np.any(list(rows.present.values()), axis=0)
    np.testing.assert_allclose(lengths[some], 1, atol=1e-5)
    assert not lengths[~some].any()
    alone = joint.embed(Rows({"text": rows.vectors["text"]}, {"text": rows.present["text"]}))
    only = rows.present["text"] & ~rows.present["image"] & ~rows.present["audio"]
    np.testing.assert_allclose(alone[only], whole[only], atol=1e-6)


def test_the_same_rows_give_the_same_vectors(joint):
    again = JointEmbedding(Alignment.fit(latent_rows(400, 1)))
    assert again.fingerprint == joint.fingerprint
    rows = latent_rows(40, 5)
    np.testing.assert_array_equal(joint.embed(rows), again.embed(rows))
    np.testing.assert_allclose(joint.embed(rows)[:9], joint.embed(rows.chosen(np.arange(40) < 9)), atol=1e-6)


def test_a_large_anchor_is_projected():
    rows = latent_rows(200, 6)
    joint = JointEmbedding(Alignment.fit(rows), anchor="image")
    assert found_across(joint, latent_rows(300, 8)) > 0.9


def test_there_and_back(joint, tmp_path):
    save(joint, tmp_path / "joint.arrow")
    loaded = load(tmp_path / "joint.arrow")
    assert loaded.fingerprint == joint.fingerprint
    rows = latent_rows(20, 9)
    np.testing.assert_array_equal(loaded.embed(rows), joint.embed(rows))


def test_every_flipped_bit_is_noticed(tmp_path):
    small = Rows(
        {"a": np.eye(12, 3, dtype=np.float32) + 0.1, "b": np.eye(12, 2, dtype=np.float32) + 0.2},
        {"a": np.ones(12, bool), "b": np.ones(12, bool)},
    )
    joint = JointEmbedding(Alignment.fit(small), anchor="a")
    path = tmp_path / "joint.arrow"
    save(joint, path)
    good, harmless = path.read_bytes(), 0
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ (1 << (at % 8))]) + good[at + 1 :])
        try:
            assert load(path).fingerprint == joint.fingerprint
            harmless += 1  # padding
        except MemoryStoreError:
            pass
    assert harmless < len(good)
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(MemoryStoreError, match="align again"):
        load(path)
    with pytest.raises(MemoryStoreError):
        load(tmp_path / "missing")


def test_bad_rows(joint):
    with pytest.raises(InvalidArgumentError, match="same number of rows"):
        Rows({"a": np.ones((2, 3))}, {"a": np.ones(3, bool)})
    with pytest.raises(InvalidArgumentError, match="finite"):
        Rows({"a": np.full((2, 3), np.nan)}, {"a": np.ones(2, bool)})
    with pytest.raises(InvalidArgumentError, match="kind 'text' have 3 values"):
        joint.token("text", np.ones((1, 3), np.float32))
    with pytest.raises(InvalidArgumentError, match="kind 'smell'"):
        joint.token("smell", np.ones((1, 3), np.float32))
