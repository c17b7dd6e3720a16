"""What contenders encode, and how batches are made for those that pad."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.reference import folder

from arrowmind.bench.contenders import CONTENDERS, base, contender
from arrowmind.bench.workload import SimilarityTask, Workload, read_similarity
from arrowmind.errors import InvalidArgumentError


def test_similarity_reads_quoted_sentences(tmp_path):
    path = tmp_path / "stsb.csv"
    path.write_text('"A cat, sitting.",A cat.,4.5\nA dog.,A tree.,0\n')
    task = read_similarity(path)
    assert (task.name, task.left, task.scores) == ("stsb", ["A cat, sitting.", "A dog."], [4.5, 0.0])


@pytest.mark.parametrize("text", ["sentence1,sentence2,score\n", "a,b\n", "a,b,c\n", "\n"])
def test_files_that_are_no_similarity_task(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(
        InvalidArgumentError, match="needs lines of sentence, sentence, score without a header"
    ):
        read_similarity(path)


def test_correlation_takes_left_and_right_halves():
    task = SimilarityTask("t", ["a", "b", "c"], ["d", "e", "f"], [3.0, 2.0, 1.0])
    left = np.array([[1, 0]] * 3, np.float32)
    right = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    assert task.correlation(np.concatenate([left, right])) == pytest.approx(1.0)
    assert task.correlation(np.concatenate([left, right[::-1]])) == pytest.approx(-1.0)


def test_texts_are_written_for_the_workers(tmp_path):
    texts = {"all": ["Gr\u00fc\u00dfe", "\ud800 lone"]}
    path = Workload(texts, 2).write(tmp_path / "new" / "texts.json")
    assert json.loads(path.read_text()) == texts


def test_batches_hold_every_text_once_longest_first_padded_with_zeros(tmp_path):
    source = folder.write(tmp_path / "source", folder.weights())
    texts = ["the", "the cat sat", "the cat", "a"]
    tokens = base.Tokens(source)
    lengths = tokens.lengths(texts)
    batches = tokens.batches(texts, 3)
    assert sorted(np.concatenate([batch.rows for batch in batches]).tolist()) == [0, 1, 2, 3]
    assert [len(batch.rows) for batch in batches] == [3, 1]
    for batch in batches:
        assert batch.mask.sum(1).tolist() == [lengths[row] for row in batch.rows]
        assert not batch.ids[batch.mask == 0].any()
    assert batches[0].rows[0] == 1


@pytest.mark.parametrize("callers", [1, 3])
def test_vectors_come_in_the_order_of_the_texts(callers):
    order = [2, 0, 3, 1]
    batches = [base.Batch(np.array([row]), np.zeros((1, 1), int), np.ones((1, 1), int)) for row in order]
    vectors = base.run_batches(batches, lambda batch: batch.rows[:, None].astype(np.float32), callers, 4)
    assert vectors.ravel().tolist() == [0, 1, 2, 3]


def test_padding_peers_may_choose_batch_and_callers():
    assert {setting.callers for setting in base.padding_settings(1)} == {1}
    assert {(setting.batch, setting.callers) for setting in base.padding_settings(4)} >= {(1, 1), (32, 4)}


@pytest.mark.parametrize("name", CONTENDERS)
def test_every_contender_has_the_four_functions_its_worker_calls(name):
    row = contender(name)
    assert row.precision in ("int8", "int4", "int2", "fp4", "fp32")
    if row.missing():
        assert set(row.missing()) <= set(row.requires)
        pytest.skip(f"not installed: {', '.join(row.missing())}")
    module = row.load()
    assert all(
        callable(getattr(module, what)) for what in ("prepare", "open_session", "cold_script", "model_bytes")
    )


def test_a_folder_in_place_of_pairs_is_named(tmp_path):
    with pytest.raises(InvalidArgumentError, match=f"{tmp_path} cannot be read"):
        read_similarity(tmp_path)
