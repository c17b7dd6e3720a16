"""How fast a text came, in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arrowmind.cli.render import bytes_text

if TYPE_CHECKING:
    from arrowmind.engine import ArrowEngine
    from arrowmind.generate import Timings

__all__ = ["run_facts", "run_lines", "speed_line"]


def speed_line(timings: Timings) -> str:
    """Tokens, tokens per second, and what the prompt took."""
    line = (
        f"{timings.tokens} tokens, {timings.tokens_per_second:.1f} tokens/s; prompt {timings.prompt_tokens} "
        f"tokens, first token after {timings.first_token_seconds:.2f} s"
    )
    if timings.drafted:
        line += f"; {timings.accepted} of {timings.drafted} proposed tokens were right"
    return line


def run_facts(engine: ArrowEngine) -> dict[str, Any]:
    """What was foretold and measured, and what came and went; None where there is nothing to tell."""
    comparison = engine.comparison
    return {
        "comparison": None if comparison is None else comparison.to_dict(),
        "residency": engine.residency(),
        "device": engine.info().get("device_state"),
    }


def run_lines(engine: ArrowEngine) -> list[str]:
    """The same for people."""
    comparison, counters = engine.comparison, engine.residency()
    lines = [
        "nothing was foretold: that takes a budget (--ram or --vram), and a text alone"
        if comparison is None
        else str(comparison)
    ]
    if counters is not None:
        asked = counters["hits"] + counters["late"] + counters["misses"]
        lines.append(
            f"{counters['hits']:.0f} of {asked:.0f} parts were there, {counters['late']:.0f} on their way; "
            f"{bytes_text(counters['bytes_read'])} read, {counters['stalled_seconds']:.2f} s waited for"
        )
    state = engine.info().get("device_state", {})
    if state.get("blocks") is not None:
        head = " and the head" if state["head"] else ""
        lines.append(f"{state['blocks']} of {state['of_blocks']} blocks{head} on {engine.device}")
    return lines
