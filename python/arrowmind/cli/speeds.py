"""How fast a text came, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arrowmind.generate import Timings

__all__ = ["speed_line"]


def speed_line(timings: Timings) -> str:
    """Tokens, tokens per second, and what the prompt took."""
    line = (
        f"{timings.tokens} tokens, {timings.tokens_per_second:.1f} tokens/s; prompt {timings.prompt_tokens} "
        f"tokens, first token after {timings.first_token_seconds:.2f} s"
    )
    if timings.drafted:
        line += f"; {timings.accepted} of {timings.drafted} proposed tokens were right"
    return line
