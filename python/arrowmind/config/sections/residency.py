"""What of a model and of a text is in memory."""

from __future__ import annotations

from arrowmind.config.keys import setting
from arrowmind.frozen import dataclass

__all__ = ["PROFILES", "ResidencySettings", "StreamingSettings"]

PROFILES = ("low_latency", "balanced", "high_throughput")


@dataclass(frozen=True)
class ResidencySettings:
    """How much memory a model may take, and what of it comes and goes."""

    ram: str = setting("", "Most memory of the process, for instance 4GiB; empty is no bound.")
    policy: str = setting(
        "farthest",
        "Which part gives way: the one needed last, or the one used longest ago.",
        choices=("farthest", "least-recent"),
    )
    profile: str = setting(
        "balanced",
        "Gives max_layers, ahead, expert_threshold and overlap their values where these are not set, and of "
        "generation max_streams, prompt_tokens, shared_prompt_tokens and prefill_chunk, of device most_used, "
        "blocks, prompt_rows, prompt_share and expert_threshold.",
        choices=PROFILES,
    )
    max_layers: int = setting(0, "Most layers in memory; 0: as many as fit.", low=0, high=100_000)
    ahead: int = setting(2, "Layers that are read ahead.", low=0, high=64)
    expert_threshold: float = setting(
        1.0,
        "Experts of the next layers that more than this share of rounds used are read ahead; 1: none.",
        low=0,
        high=1,
    )
    foresee: bool = setting(
        True,
        "Experts of the next layer are guessed by its router, and read while this one computes; wrong "
        "guesses end it by themselves.",
    )
    overlap: bool = setting(True, "Read while others compute; false reads only what is waited for.")
    readers: int = setting(4, "Threads that read.", low=1, high=64)
    pressure: bool = setting(
        True, "Within ram, give memory back while others need it, and take it again afterwards."
    )
    pressure_low: float = setting(
        0.05,
        "Memory is given back when less than this share is left, of the machine or of its control group.",
        low=0,
        high=1,
    )
    pressure_high: float = setting(0.1, "So much is to be left before it is taken again.", low=0, high=1)
    pressure_stalled: float = setting(
        20.0,
        "Percent of the last ten seconds in which something waited for memory: with more, less than "
        "pressure_high left is too little, too.",
        low=0,
        high=100,
    )
    pressure_seconds: float = setting(2.0, "Time between two looks.", low=0.01, high=3600)


@dataclass(frozen=True)
class StreamingSettings:
    """How texts without end are read."""

    sinks: int = setting(4, "First tokens that stay, rounded up to blocks.", low=0, high=1e9)
    window: int = setting(
        0,
        "Most recent tokens that stay; 0: what the model reads beside the others, up to 4096.",
        low=0,
        high=1e9,
    )
    recalled: int = setting(8, "Blocks that a question brings back.", low=0, high=4096)
    block_tokens: int = setting(
        0, "Tokens of a block, a multiple of 16; 0: 64, or less where a model reads little.", low=0, high=4096
    )
    codes: str = setting("int8", "Numbers of blocks that are quantised.", choices=("int8", "k4v4", "k4v3"))
    keep: tuple[str, ...] = setting((), "Regular expressions; blocks in which one is found are kept exactly.")
    exact_above: float = setting(
        1.0, "Blocks stay exact that are rarer than this, in standard deviations.", low=-1e9, high=1e9
    )
    reduced_below: float = setting(
        -1.0, "Blocks are kept as tokens alone that are less rare than this.", low=-1e9, high=1e9
    )
    text_weight: float = setting(1.0, "Weight of shared words when blocks are looked for.", low=0, high=1000)
    vector_weight: float = setting(0.0, "Weight of similar keys.", low=0, high=1000)
    store: str = setting("", "Folder that keeps blocks; empty: a temporary one.")
    store_bytes: str = setting(
        "", "Most bytes of keys and values on disk, for instance 8GiB; empty: no bound."
    )
