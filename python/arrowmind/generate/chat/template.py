"""A chat template: compiled once, rendered for each conversation."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from arrowmind.errors import InvalidArgumentError, OptimizationError
from arrowmind.generate.chat.budget import Budget, TemplateLimits, current
from arrowmind.generate.chat.messages import check_messages, check_tools, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["ChatTemplate"]

_MOST_CHARACTERS = 1 << 20
_CONTINUED = "\ue000\uf8ff continued \uf8ff\ue000"  # private use: in no message


class ChatTemplate:
    """A model's Jinja template as Hugging Face's tokenizers have it, with bounds on what it may do."""

    def __init__(
        self,
        source: str,
        *,
        special_tokens: Mapping[str, str] | None = None,
        limits: TemplateLimits | None = None,
        now: Callable[[], datetime.datetime] = datetime.datetime.now,
    ) -> None:
        """Compiles a template.

        Args:
            source: The template.
            special_tokens: Texts by name: ``bos_token``, ``eos_token`` and what else it may use.
            limits: Most that a rendering may use.
            now: What its `strftime_now` formats.

        Raises:
            InvalidArgumentError: It is no template, or uses what is not possible here.
        """
        import jinja2  # noqa: PLC0415  only those who chat need it

        from arrowmind.generate.chat.sandbox import Sandbox  # noqa: PLC0415  imports jinja2

        if not isinstance(source, str) or len(source) > _MOST_CHARACTERS:
            raise InvalidArgumentError(
                f"the chat template is {type(source).__name__} {source!r:.40}; use text of up to "
                f"{_MOST_CHARACTERS} characters"
            )
        self.source = source
        self._tokens = {name: str(text) for name, text in (special_tokens or {}).items()}
        self._limits = limits or TemplateLimits()
        try:
            self._template = Sandbox(now).from_string(source)
        except jinja2.TemplateSyntaxError as error:
            raise InvalidArgumentError(
                f"the chat template, line {error.lineno}: {error.message}; use another template"
            ) from error
        except (SyntaxError, RecursionError, MemoryError, jinja2.TemplateError) as error:
            raise InvalidArgumentError(
                f"the chat template cannot be compiled ({type(error).__name__}: {error}); use another"
            ) from error

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        continue_final_message: bool = False,
        variables: Mapping[str, Any] | None = None,
    ) -> str:
        """The text for `messages`. It holds the special tokens: encode it without adding them again.

        Args:
            messages: Objects with role and content.
            tools: JSON descriptions of what the model may call.
            add_generation_prompt: End with the beginning of an answer.
            continue_final_message: End within the last message, for the model to go on with it.
            variables: More names for the template, such as ``enable_thinking``.

        Raises:
            InvalidArgumentError: The messages are not usable, or the template refuses them, fails, reaches
                for what is no plain data, or exceeds a limit.
        """
        checked, described = check_messages(messages), check_tools(tools)
        if continue_final_message:
            add_generation_prompt = False
            checked[-1]["content"] = _marked(checked[-1].get("content"))
        names = {
            **self._tokens,
            **plain("variables", dict(variables or {})),
            "messages": checked,
            "tools": described,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
        }
        text = self._run(names)
        if not continue_final_message:
            return text
        if _CONTINUED not in text:
            raise InvalidArgumentError(
                "the chat template leaves the last message out; it cannot be continued"
            )
        return text[: text.rindex(_CONTINUED)]

    def _run(self, names: dict[str, Any]) -> str:
        from arrowmind.generate.chat.operations import TemplateRefusal  # noqa: PLC0415  imports jinja2

        token = current.set(Budget(self._limits, names.values()))
        try:
            return self._template.render(names)
        except OptimizationError:
            raise
        except TemplateRefusal as error:
            raise InvalidArgumentError(f"the chat template refuses the messages: {error}") from error
        except Exception as error:  # whatever Python raises for what the template does
            raise InvalidArgumentError(
                f"the chat template fails ({type(error).__name__}: {error!s:.300}); check the messages, "
                "or use another template"
            ) from error
        finally:
            current.reset(token)


def _marked(content: Any) -> Any:
    """`content` with the mark at the end of its text."""
    if isinstance(content, str):
        return content.rstrip() + _CONTINUED
    if isinstance(content, list) and content and isinstance(content[-1].get("text"), str):
        return [*content[:-1], {**content[-1], "text": content[-1]["text"].rstrip() + _CONTINUED}]
    raise InvalidArgumentError(f"the last message's content is {content!r:.40}; only text can be continued")
