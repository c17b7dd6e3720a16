"""What a language model is asked: text, token ids or the messages of a conversation, as token ids."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from arrowmind.engine.inputs import check_ids
from arrowmind.errors import InvalidArgumentError, WeightError
from arrowmind.generate import ChatTemplate, read_chat_template

if TYPE_CHECKING:
    from arrowmind.engine.folder import ModelFolder
    from arrowmind.engine.tokenizer import TextTokenizer

__all__ = ["Prompt", "PromptReader", "end_tokens", "split_prompts"]

Prompt: TypeAlias = "str | Sequence[int] | Sequence[Mapping[str, Any]]"
_EXPECTED = "use text, a list of token ids, or a list of messages with role and content"
_MOST_ENDS = 64


def split_prompts(prompts: object) -> tuple[list[Any], bool]:
    """Prompts, and whether there were several: a list of texts, of lists of ids, or of conversations.

    Raises:
        InvalidArgumentError: It is no prompt, or an empty list.
    """
    if isinstance(prompts, str):
        return [prompts], False
    if isinstance(prompts, bytes | Mapping) or not hasattr(prompts, "__iter__"):
        raise InvalidArgumentError(f"prompt is {type(prompts).__name__} {prompts!r:.40}; {_EXPECTED}")
    items: Any = prompts
    listed = list(items)
    if not listed:
        raise InvalidArgumentError(f"prompt is an empty list; {_EXPECTED}")
    first = listed[0]
    several = isinstance(first, str) or (hasattr(first, "__iter__") and not isinstance(first, Mapping))
    return (listed, True) if several else ([listed], False)


def end_tokens(folder: ModelFolder) -> tuple[int, ...]:
    """Ids that the model ends a text with, of generation_config.json, or else of config.json.

    Raises:
        WeightError: They are no token ids, or the file is no JSON.
    """
    for name, settings in (
        ("generation_config.json", generation_settings(folder)),
        ("config.json", folder.config),
    ):
        value = settings.get("eos_token_id")
        listed = [value] if isinstance(value, int) else value
        if listed is None:
            continue
        if not isinstance(listed, list) or len(listed) > _MOST_ENDS or not all(map(_is_id, listed)):
            raise WeightError(
                f"{folder.path / name}: eos_token_id is {value!r:.80}; a token id or a list of them is needed"
            )
        return tuple(token for token in listed if token < folder.decoder.vocabulary)
    return ()


class PromptReader:
    """Turns prompts into token ids as a model wants them. For any thread."""

    def __init__(self, folder: ModelFolder, tokenizer: TextTokenizer) -> None:
        """Reads nothing yet.

        Args:
            folder: Holds the chat template.
            tokenizer: The model's.
        """
        self._folder, self._tokenizer = folder, tokenizer
        self._template: ChatTemplate | None = None
        self._lock = threading.Lock()

    @property
    def template(self) -> ChatTemplate:
        """The model's chat template.

        Raises:
            InvalidArgumentError: It has none.
            TokenizerError: It cannot be read.
        """
        with self._lock:
            if self._template is None:
                self._template = read_chat_template(self._folder.path, self._tokenizer.uncut)
        if self._template is None:
            raise InvalidArgumentError(
                f"{self._folder.path.name} has no chat template: it was trained on no conversations; "
                "give text, or put the template of its family into its folder as chat_template.jinja"
            )
        return self._template

    def ids(
        self,
        prompt: Prompt,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> list[int]:
        """Token ids of a prompt.

        Args:
            prompt: Text, ids, or messages.
            tools: For the chat template.
            variables: More names for it.

        Raises:
            InvalidArgumentError: It is none of these, or the chat template refuses it.
        """
        if isinstance(prompt, str):
            return self._tokenizer.encode_whole(prompt)
        listed = split_prompts(prompt)[0][0]
        if isinstance(listed, list) and listed and isinstance(listed[0], Mapping):
            text = self.template.render(listed, tools=tools, variables=variables)
            return self._tokenizer.encode_rendered(text)
        return check_ids(prompt)


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def generation_settings(folder: ModelFolder) -> dict[str, Any]:
    """What generation_config.json of a model folder says; empty where there is none.

    Raises:
        WeightError: it is damaged.
    """
    path = folder.path / "generation_config.json"
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightError(f"{path} cannot be read ({error}); convert the model again") from error
    if not isinstance(settings, dict):
        raise WeightError(f"{path} holds a {type(settings).__name__}, not an object; convert the model again")
    return settings
