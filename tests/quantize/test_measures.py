"""What each figure of the check is, by vectors whose answer is known."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from arrowmind.config import Config, keys
from arrowmind.quantize import PrecisionReport, Thresholds
from arrowmind.quantize.measures import MEASURES, Vectors, cosines, overlap


def on_a_circle(count, order=None):
    """Vectors at 1, 2, 3 ... degrees; the first one's nearest are those that follow it."""
    angles = np.deg2rad(np.arange(count, dtype=float) if order is None else order)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_each_figure_is_a_field_a_threshold_and_a_setting():
    names = [measure.name for measure in MEASURES]
    assert [item.name for item in fields(Thresholds)] == names
    assert set(names) <= {item.name for item in fields(PrecisionReport)}
    for measure in MEASURES:
        assert getattr(Thresholds(), measure.name) == measure.bound
        assert keys(Config)[f"precision.{measure.name}"].default == measure.bound


def test_equal_spaces_overlap_whole_at_any_length_of_their_vectors():
    vectors = on_a_circle(30)
    lengths = np.linspace(0.1, 9, 30, dtype=np.float32)[:, None]
    assert overlap(Vectors(vectors, vectors * lengths, 30)) == 1


@pytest.mark.parametrize(("moved", "share"), [(0, 1.0), (3, 0.7), (10, 0.0)])
def test_the_overlap_counts_the_neighbours_that_stay(moved, share):
    order = np.arange(60, dtype=float)
    # Of the ten nearest to the first text, so many change places with texts far away.
    swapped = order.copy()
    swapped[1 : 1 + moved], swapped[40 : 40 + moved] = order[40 : 40 + moved], order[1 : 1 + moved]
    assert overlap(Vectors(on_a_circle(60), on_a_circle(60, swapped), 1)) == pytest.approx(share)


def test_only_texts_of_the_check_are_looked_for():
    left, right = on_a_circle(40), on_a_circle(40)
    right[20:] = right[20:][::-1]
    assert overlap(Vectors(left, right, 5)) == 1
    assert overlap(Vectors(left, right, 40)) < 1


def test_ties_are_no_disagreement():
    ones = np.ones((40, 8), np.float32)
    assert overlap(Vectors(ones, ones * np.float32(0.3), 40)) == 1


def test_a_search_that_returns_all_measures_nothing():
    vectors = on_a_circle(11)
    assert overlap(Vectors(vectors, vectors[::-1], 11)) is None
    assert overlap(Vectors(on_a_circle(12), on_a_circle(12), 12)) == 1


@pytest.mark.parametrize("broken", [np.nan, np.inf, 0.0])
def test_what_is_no_vector_is_no_neighbour_and_no_warning(broken):
    right = on_a_circle(40)
    right[1:6] = broken
    assert overlap(Vectors(on_a_circle(40), right, 1)) == pytest.approx(0.5)
    assert cosines(Vectors(on_a_circle(40), right, 3)).tolist() == pytest.approx([1, -1, -1])


def test_another_dimension_and_another_rank():
    assert overlap(Vectors(np.ones((40, 3)), np.ones((40, 4)), 2)) == 1
    assert overlap(Vectors(np.ones(40), np.ones((40, 4)), 2)) == 0
    assert cosines(Vectors(np.ones((40, 3)), np.ones((40, 4)), 2)).tolist() == [-1, -1]
