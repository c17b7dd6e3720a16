"""Where a folder's template is found, and in which order."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tests.reference.generating_tokenizers import sentence_piece

from arrowmind.errors import InvalidArgumentError, TokenizerError
from arrowmind.generate import read_chat_template

HELLO = [{"role": "user", "content": "hi"}]


def write(folder, name, value):
    (folder / name).write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")


def test_a_folder_without_one(tmp_path):
    assert read_chat_template(tmp_path) is None
    write(tmp_path, "config.json", {"hidden_size": 3, "arrowmind": {"max_tokens": 3}})
    write(tmp_path, "tokenizer_config.json", {"bos_token": "<s>"})
    assert read_chat_template(tmp_path) is None


def test_the_order_of_the_files(tmp_path):
    write(tmp_path, "config.json", {"arrowmind": {"chat_template": "config"}})
    assert read_chat_template(tmp_path).source == "config"
    write(tmp_path, "tokenizer_config.json", {"chat_template": "tokenizer"})
    assert read_chat_template(tmp_path).source == "tokenizer"
    write(tmp_path, "chat_template.jinja", "file\u00e9")
    assert read_chat_template(tmp_path).source == "file\u00e9"


def test_one_of_several(tmp_path):
    both = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]
    write(tmp_path, "tokenizer_config.json", {"chat_template": both})
    assert read_chat_template(tmp_path).source == "plain"
    assert read_chat_template(tmp_path, name="tool_use").source == "tools"
    with pytest.raises(
        TokenizerError, match=r"no chat template 'other'; use one of \['default', 'tool_use'\]"
    ):
        read_chat_template(tmp_path, name="other")


def test_texts_of_special_tokens(tmp_path):
    write(tmp_path, "chat_template.jinja", "{{ bos_token }}|{{ eos_token }}")
    settings = {"bos_token": {"content": "<b>"}, "eos_token": "<e>"}
    write(tmp_path, "tokenizer_config.json", settings)
    assert read_chat_template(tmp_path).render(HELLO) == "<b>|<e>"
    (tmp_path / "tokenizer_config.json").unlink()
    write(tmp_path, "config.json", {"bos_token_id": 1, "eos_token_id": [2, 5]})
    assert read_chat_template(tmp_path, sentence_piece()).render(HELLO) == "<s>|</s>"
    assert read_chat_template(tmp_path).render(HELLO) == "|"


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "[" * 100_000])
def test_damaged_files(tmp_path, text):
    write(tmp_path, "tokenizer_config.json", text)
    with pytest.raises(TokenizerError, match=r"tokenizer_config.json"):
        read_chat_template(tmp_path)


def test_templates_that_are_none(tmp_path):
    write(tmp_path, "tokenizer_config.json", {"chat_template": 3})
    with pytest.raises(TokenizerError, match="is int, not text"):
        read_chat_template(tmp_path)
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(TokenizerError, match="cannot be read"):
        read_chat_template(tmp_path)
    write(tmp_path, "chat_template.jinja", "{% if %}")
    with pytest.raises(InvalidArgumentError, match="line 1"):
        read_chat_template(tmp_path)


def test_importing_loads_no_jinja():
    code = "import arrowmind.generate, sys; raise SystemExit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
