"""A whole model folder of Hugging Face's kind with a tiny BERT in it."""

from __future__ import annotations

import json

from safetensors.numpy import save_file
from tests.reference import bert, tokenizer

HEADS = 3
MAX_TOKENS = 24


def write(path, weights, *, pooling="mean"):
    """Writes config.json, tokenizer.json, model.safetensors and the pooling of `weights` to a new folder."""
    (path / "1_Pooling").mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(bert.config(weights, HEADS)))
    (path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": MAX_TOKENS}))
    modes = {"pooling_mode_mean_tokens": pooling == "mean", "pooling_mode_cls_token": pooling == "cls"}
    (path / "1_Pooling" / "config.json").write_text(json.dumps(modes))
    save_file(weights, path / "model.safetensors")
    tokenizer.build().save(str(path / "tokenizer.json"))
    return path


def weights(seed=11):
    """Weights that fit the small tokenizer."""
    return bert.tiny_weights(seed, vocabulary=len(tokenizer.VOCABULARY))
