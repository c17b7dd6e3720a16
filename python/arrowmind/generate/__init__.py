"""Generation of text around a decoder: everything but the decoder itself.

::

    sampling   SamplingParameters; Sampler: a row of logits -> a token, by seed and position
    chat       ChatTemplate: messages -> the text a model was trained on; read_chat_template(folder)
    text       TokenPieces: the bytes of a token; Detokenizer: ids -> text as they come; StopMatcher
"""

from __future__ import annotations

from arrowmind.generate.chat import ChatTemplate, TemplateLimits, read_chat_template
from arrowmind.generate.sampling import Choice, Sampler, SamplingParameters
from arrowmind.generate.text import Detokenizer, StopMatcher, TokenPieces

__all__ = [
    "ChatTemplate",
    "Choice",
    "Detokenizer",
    "Sampler",
    "SamplingParameters",
    "StopMatcher",
    "TemplateLimits",
    "TokenPieces",
    "read_chat_template",
]
