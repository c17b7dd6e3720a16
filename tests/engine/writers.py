"""Small language models that write: of random weights over bytes, and stories260K."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.reference import decoder
from tests.reference.generating_tokenizers import byte_level

from arrowmind.weights import convert_model

TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
STORY_TEMPLATE = "{{ bos_token }}{% for message in messages %}{{ message.content }} {% endfor %}"
WINDOW = 192


def write_bytes_model(folder, *, template=TEMPLATE, seed=3, end="<|end|>", family="qwen2"):
    """A converted model of random weights, a Qwen2, whose tokens are bytes and a few merges."""
    tokenizer = byte_level()
    config = {
        **decoder.CONFIGS[family],
        "vocab_size": tokenizer.get_vocab_size(),
        "max_position_embeddings": WINDOW,
        "eos_token_id": tokenizer.token_to_id(end),
    }
    source = folder.with_name(f"{folder.name}-hf")
    source.mkdir()
    (source / "config.json").write_text(json.dumps(config))
    weights = decoder.random_weights(config, seed)
    save_file(
        {name: value.astype(np.float32) for name, value in weights.items()}, source / "model.safetensors"
    )
    tokenizer.save(str(source / "tokenizer.json"))
    convert_model(source, folder)
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    return folder


def write_stories(data, folder):
    """stories260K, converted, with a chat template for those who want to talk to it."""
    source = data / "stories260K" / "stories260K.gguf"
    if not source.is_file():
        pytest.skip(f"no {source}: set ARROWMIND_TEST_DATA to the folder that holds stories260K")
    convert_model(source, folder)
    (folder / "chat_template.jinja").write_text(STORY_TEMPLATE)
    return folder
