"""Generation of text around a decoder: everything but the decoder itself.

::

    sampling    SamplingParameters; Sampler: a row of logits -> a token, by seed and position
    text        TokenPieces: the bytes of a token; Detokenizer: ids -> text as they come; StopMatcher
    chat        ChatTemplate: messages -> the text a model was trained on; read_chat_template(folder)
    constraint  TokenConstraint: which tokens may follow; ConstraintVocabulary: JSON schema, grammar, regex
    drafts      DraftProposer: guesses that the model checks; PromptLookup
    sequence    TokenSequence: what to feed, what to make of the logits; decode: the loop for one sequence
    result      Delta, Generation, Timings
"""

from __future__ import annotations

from arrowmind.generate.chat import ChatTemplate, TemplateLimits, read_chat_template
from arrowmind.generate.constraint import ConstraintVocabulary, GrammarConstraint, TokenConstraint
from arrowmind.generate.drafts import DraftProposer, PromptLookup
from arrowmind.generate.result import Delta, FinishReason, Generation, Timings
from arrowmind.generate.sampling import (
    CandidateNeed,
    CandidateRow,
    Candidates,
    Choice,
    Peak,
    Peaks,
    Sampler,
    SamplingParameters,
)
from arrowmind.generate.sequence import Decoder, Feed, FunctionDecoder, TokenSequence, decode
from arrowmind.generate.text import Detokenizer, StopMatcher, TokenPieces

__all__ = [
    "CandidateNeed",
    "CandidateRow",
    "Candidates",
    "ChatTemplate",
    "Choice",
    "ConstraintVocabulary",
    "Decoder",
    "Delta",
    "Detokenizer",
    "DraftProposer",
    "Feed",
    "FinishReason",
    "FunctionDecoder",
    "Generation",
    "GrammarConstraint",
    "Peak",
    "Peaks",
    "PromptLookup",
    "Sampler",
    "SamplingParameters",
    "StopMatcher",
    "TemplateLimits",
    "Timings",
    "TokenConstraint",
    "TokenPieces",
    "TokenSequence",
    "decode",
    "read_chat_template",
]
