"""Where a model folder keeps its chat template and the texts of its special tokens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from arrowmind.errors import TokenizerError
from arrowmind.generate.chat.template import ChatTemplate

if TYPE_CHECKING:
    from pathlib import Path

    from tokenizers import Tokenizer

__all__ = ["read_chat_template"]

_TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token")


def read_chat_template(
    folder: Path, tokenizer: Tokenizer | None = None, name: str = "default"
) -> ChatTemplate | None:
    """The template of a model folder; None where it has none.

    Looked for in this order: ``chat_template.jinja``; ``chat_template`` in ``tokenizer_config.json``, alone
    or one of several by name; ``arrowmind.chat_template`` in ``config.json``, where GGUF's is put.

    Args:
        folder: The model's folder.
        tokenizer: Tells the text of special tokens that config.json has only the ids of.
        name: Which of several templates.

    Raises:
        TokenizerError: A file is damaged, or there is no template of this name among several.
        InvalidArgumentError: The template cannot be compiled.
    """
    settings, config = _read(folder / "tokenizer_config.json"), _read(folder / "config.json")
    source = _source(folder, settings, config, name)
    if source is None:
        return None
    return ChatTemplate(source, special_tokens=_special_tokens(settings, config, tokenizer))


def _source(folder: Path, settings: dict[str, Any], config: dict[str, Any], name: str) -> str | None:
    path = folder / "chat_template.jinja"
    if path.is_file():
        return _text(path)
    found = settings.get("chat_template")
    if isinstance(found, list):
        entries = [entry for entry in found if isinstance(entry, dict)]
        named = {str(entry.get("name")): entry.get("template") for entry in entries}
        if name not in named:
            raise TokenizerError(
                f"{folder}/tokenizer_config.json has no chat template {name!r}; use one of {sorted(named)}"
            )
        found = named[name]
    if found is None:
        own = config.get("arrowmind")
        found = own.get("chat_template") if isinstance(own, dict) else None
    if found is not None and not isinstance(found, str):
        raise TokenizerError(f"{folder}: chat_template is {type(found).__name__}, not text; convert it again")
    return found


def _special_tokens(
    settings: dict[str, Any], config: dict[str, Any], tokenizer: Tokenizer | None
) -> dict[str, str]:
    tokens = {}
    for name in _TOKENS:
        value = settings.get(name)
        value = value.get("content") if isinstance(value, dict) else value
        if value is None and tokenizer is not None:
            token = config.get(f"{name}_id")
            token = token[0] if isinstance(token, list) and token else token
            if isinstance(token, int) and token >= 0:
                value = tokenizer.id_to_token(token)
        if isinstance(value, str):
            tokens[name] = value
    return tokens


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise TokenizerError(f"{path} is not JSON ({error}); convert the model again") from error
    if not isinstance(value, dict):
        raise TokenizerError(f"{path} holds a {type(value).__name__}, not an object; convert the model again")
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TokenizerError(f"{path} cannot be read ({error}); convert the model again") from error
