"""The trained fusion replaces the closed form only where it finds more."""

from __future__ import annotations

import numpy as np
import pytest
from tests.joint.test_joint import DIMENSIONS, latent_rows

from arrowmind.errors import InvalidArgumentError
from arrowmind.joint import Alignment, JointEmbedding
from arrowmind.joint.judging import found_across
from arrowmind.joint.state import load, save
from arrowmind.joint.training import train_fusion
from arrowmind.observe import no_progress

pytest.importorskip("torch", reason="training needs torch")
pytestmark = pytest.mark.torch


def test_it_learns_what_the_closed_form_does_not_know(tmp_path):
    # An alignment without maps: only training can bring the kinds together.
    start = JointEmbedding(Alignment(DIMENSIONS))
    rows = latent_rows(600, 1)
    trained = train_fusion(start, rows, steps=60, progress=no_progress)
    print(f"found across: {trained.before:.3f} before, {trained.after:.3f} after")
    assert trained.replaced
    assert trained.after > trained.before + 0.2
    assert found_across(trained.joint, latent_rows(200, 5)) > trained.before
    save(trained.joint, tmp_path / "j.arrow")
    loaded = load(tmp_path / "j.arrow")
    np.testing.assert_array_equal(loaded.embed(rows), trained.joint.embed(rows))
    again = train_fusion(start, rows, steps=60, progress=no_progress)
    assert again.joint.fingerprint == trained.joint.fingerprint


def test_what_is_worse_is_not_kept():
    rows = latent_rows(300, 2)
    good = JointEmbedding(Alignment.fit(rows))
    trained = train_fusion(good, rows, steps=2, rate=3.0, progress=no_progress)
    assert not trained.replaced
    assert trained.joint is good


def test_too_few_rows():
    with pytest.raises(InvalidArgumentError, match="64 are needed"):
        train_fusion(JointEmbedding(Alignment(DIMENSIONS)), latent_rows(20, 1), progress=no_progress)
