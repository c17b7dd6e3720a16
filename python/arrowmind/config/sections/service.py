"""The server, and what is logged."""

from __future__ import annotations

from arrowmind.config.keys import setting
from arrowmind.frozen import dataclass

__all__ = ["LogSettings", "ServerSettings"]


@dataclass(frozen=True)
class ServerSettings:
    """How `arrowmind serve` answers."""

    host: str = setting("127.0.0.1", "Address to listen on; 0.0.0.0 is every one of this machine.")
    port: int = setting(8000, "Port to listen on; 0 takes a free one.", low=0, high=65_535)
    max_tokens: int = setting(4096, "Most tokens of one answer.", low=1, high=10_000_000)
    max_choices: int = setting(16, "Most answers to one request, prompts times n.", low=1, high=1024)
    max_body_bytes: int = setting(8_388_608, "Largest request.", low=1024, high=1 << 40)
    max_texts: int = setting(2048, "Most texts of one request for embeddings.", low=1, high=1_000_000)
    max_memory_requests: int = setting(
        64, "Requests to the memory at once; more are refused.", low=1, high=100_000
    )
    grace_seconds: float = setting(
        30.0, "Time that running answers have when the server is told to stop.", low=0, high=86_400
    )


@dataclass(frozen=True)
class LogSettings:
    """What is logged, and how it looks."""

    level: str = setting(
        "warning", "Least important level that is logged.", choices=("debug", "info", "warning", "error")
    )
    format: str = setting(
        "console", "Lines for people or one JSON object per line.", choices=("console", "json")
    )
