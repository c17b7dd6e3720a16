"""A configuration becomes a model, or a clear error."""

from __future__ import annotations

import pytest
from tests.reference import bert

from arrowmind.errors import WeightError
from arrowmind.models.registry import build_model, families
from arrowmind.models.spec import Pooling

MEAN = Pooling("mean")


@pytest.fixture(scope="module")
def weights():
    return bert.tiny_weights(3, layers=1)


def test_bert_is_found():
    assert "bert" in families()


@pytest.mark.parametrize("prefix", ["", "bert."])
def test_every_key_of_the_model_is_a_tensor(weights, prefix):
    names = {prefix + name for name in weights}
    model = build_model(bert.config(weights, 3), names, MEAN)
    block = model.blocks[0]
    layers = [
        block.attention.query,
        block.attention.key,
        block.attention.value,
        block.attention.output,
        block.feed_forward.up,
        block.feed_forward.down,
        model.embedding.norm,
        block.attention_norm,
        block.feed_forward_norm,
    ]
    used = {key for layer in layers for key in (layer.weight, layer.bias)}
    used |= {model.embedding.word, model.embedding.position, model.embedding.token_type}
    assert used == names
    assert (model.hidden, model.vocabulary, model.max_tokens, block.attention.heads) == (48, 61, 40, 3)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"model_type": "bart"}, "model_type 'bart' is not supported"),
        ({"model_type": None}, "model_type is None"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"hidden_size": "48"}, "hidden_size is '48'"),
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"hidden_size": True}, "hidden_size is True"),
        ({"hidden_size": 2**40}, "hidden_size is 1099511627776"),
        ({"num_attention_heads": 5}, "not a multiple of num_attention_heads"),
        ({"layer_norm_eps": -1}, "layer_norm_eps is -1"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps is nan"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
    ],
)
def test_configurations_that_cannot_be(weights, change, what):
    with pytest.raises(WeightError, match=what):
        build_model({**bert.config(weights, 3), **change}, weights, MEAN)


def test_weights_of_another_family(weights):
    with pytest.raises(WeightError, match=r"no tensor 'embeddings\.word_embeddings\.weight'"):
        build_model(bert.config(weights, 3), {"wte.weight"}, MEAN)
