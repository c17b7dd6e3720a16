"""Weights in each form, near enough to the original."""

from __future__ import annotations

import numpy as np
import pytest
from tests.bench.language.small import job_of

from arrowmind.bench.language import ours
from arrowmind.bench.language.forms import FORMS, coded_tensors
from arrowmind.bench.language.shape import SeededWeights
from arrowmind.bench.statistics import cosines

MATRIX, TABLE = "model.layers.0.mlp.up_proj.weight", "model.embed_tokens.weight"
HEADS = {"g32": "int8", "head4": "int4", "head2": "int2"}
# Steps of the codes, in largest values of a row or group; half of one is the largest error.
STEPS = {"fp16": 0, "int8": 1 / 127, "int4": 1 / 8}


@pytest.mark.parametrize("name", ["fp16", "int8", "int4", "int4-head4"])
def test_codes_are_the_nearest(tmp_path, name):
    source = SeededWeights(job_of(tmp_path, "x").source)
    for tensor in coded_tensors(source, FORMS[name]):
        found, wanted = tensor.to_float32(), source.real_values(tensor.spec.name)
        if wanted.ndim == 1:
            np.testing.assert_array_equal(found, wanted)
            continue
        step = STEPS[name.split("-")[0]] if tensor.spec.name == MATRIX else STEPS["int4"]
        # A group's largest value is clipped by up to a step where it is positive; scales are rounded, too.
        most = np.abs(wanted).max() * step * 1.01
        assert np.abs(found - wanted).max() <= most


@pytest.mark.parametrize("name", ["int2-g32", "int2-g64-head4", "int2-g32-head2"])
def test_two_bits_keep_most_of_a_matrix(tmp_path, name):
    source = SeededWeights(job_of(tmp_path, "x").source)
    found = {tensor.spec.name: tensor for tensor in coded_tensors(source, FORMS[name])}
    values, wanted = found[MATRIX].to_float32(), source.real_values(MATRIX)
    # Four levels of a normal distribution lose 12 % of its power at best.
    assert np.square(values - wanted).sum() < 0.14 * np.square(wanted).sum()
    table = found[TABLE]
    assert table.spec.quant_type == HEADS[name.rpartition("-")[2]]
    wanted = source.real_values(TABLE)
    assert np.square(table.to_float32() - wanted).sum() < 0.14 * np.square(wanted).sum()


@pytest.mark.parametrize("name", sorted(FORMS))
def test_every_form_decodes(tmp_path, name):
    job = job_of(tmp_path, f"arrowmind-{name}")
    weights = ours.prepare(job)
    written = weights.stat().st_mtime_ns
    assert ours.prepare(job).stat().st_mtime_ns == written
    session = ours.open_session(job)
    assert session.weight_bytes == weights.stat().st_size
    whole = session.feed([1, 2, 3]).copy()
    session.restart()
    for token in (1, 2, 3):
        last = session.feed([token])
    assert cosines(whole[None], last[None])[0] > 0.9999
