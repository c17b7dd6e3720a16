"""Messages to the text a model was trained on, by its own template, in a sandbox with limits."""

from __future__ import annotations

from arrowmind.generate.chat.budget import TemplateLimits
from arrowmind.generate.chat.source import read_chat_template
from arrowmind.generate.chat.template import ChatTemplate

__all__ = ["ChatTemplate", "TemplateLimits", "read_chat_template"]
