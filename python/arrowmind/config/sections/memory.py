"""What is remembered, kept private and consolidated."""

from __future__ import annotations

from arrowmind.config.keys import setting
from arrowmind.frozen import dataclass

__all__ = ["ConsolidationSettings", "MemorySettings", "PrivacySettings"]


@dataclass(frozen=True)
class MemorySettings:
    """Where memories live and how they are found."""

    path: str = setting("memory", "Store used when none is named.")
    top_k: int = setting(10, "Memories that a recall returns.", low=1, high=10_000)
    vector_weight: float = setting(1.0, "Weight of the meaning in recall; 0 leaves it out.", low=0, high=1000)
    text_weight: float = setting(0.5, "Weight of the words in recall; 0 leaves them out.", low=0, high=1000)
    flush_rows: int = setting(
        2048, "Vectors that wait in the catalogue before they become a segment.", low=1, high=10_000_000
    )
    image_model: str = setting("", "Model folder that makes vectors of images; empty: none.")
    audio_model: str = setting("", "Model folder that makes vectors of sounds; empty: none.")


@dataclass(frozen=True)
class PrivacySettings:
    """What is taken out of memories, who may do what, and what is logged of it."""

    redact: tuple[str, ...] = setting(
        ("card", "iban", "resident_id", "secret", "ssn"),
        "Kinds of private data that are taken out of texts before anything is written; `all`, or `none`.",
        refuse=True,
    )
    redact_mode: str = setting(
        "mask",
        "What takes its place: the kind, a pseudonym that the vault can reveal, or nothing.",
        choices=("mask", "pseudonym", "remove"),
        refuse=True,
    )
    vault: str = setting("", "Folder of the pseudonyms; empty: inside the store.")
    vault_key: str = setting(
        "",
        "Key of the vault: file:PATH, passphrase:PATH or keyring:NAME; empty: the variable ARROWMIND_KEY.",
    )
    store_key: str = setting(
        "",
        "Key of the store: file:PATH, passphrase:PATH or keyring:NAME. New stores are encrypted with it, and "
        "one that is not is refused; empty: encrypted stores are opened with the variable ARROWMIND_KEY.",
        refuse=True,
    )
    access_log: str = setting(
        "batch",
        "Log who did what: off, written together within a second, or each on disk before the call returns.",
        choices=("off", "batch", "each"),
        refuse=True,
    )
    access_log_bytes: int = setting(
        16_777_216, "Bytes of a file of the log, after which the next begins.", low=4096, high=1 << 40
    )
    access_log_files: int = setting(
        0, "Files of the log that are kept, at least 2; 0 keeps all.", low=0, high=1_000_000
    )
    roles: tuple[str, ...] = setting(
        (),
        "Rules `PRINCIPAL ROLE NAMESPACE`, with `*`; roles are reader, writer, operator, auditor and admin. "
        "With any rule, what none allows is refused.",
        refuse=True,
    )
    principal: str = setting("", "Who this process acts as; empty: the user of the system.")


@dataclass(frozen=True)
class ConsolidationSettings:
    """How memories are summarised and moved to colder tiers."""

    provider: str = setting(
        "",
        "Language model that writes facts: ollama, claude, openai, engine; empty: sentences are extracted.",
    )
    model: str = setting("", "Its name; with engine, a model folder.")
    url: str = setting("", "Its address; empty: the provider's own.")
    key_variable: str = setting(
        "", "Environment variable with the API key; empty: ANTHROPIC_API_KEY or OPENAI_API_KEY."
    )
    key_file: str = setting("", "File of mode 600 with the API key, instead of a variable.")
    redact: tuple[str, ...] = setting(
        ("all",),
        "Kinds of private data that are masked in what a model elsewhere is shown; `all`, or `none`.",
        refuse=True,
    )
    on_failure: str = setting(
        "extract",
        "When the language model fails: extract sentences instead, or leave the group for another run.",
        choices=("extract", "wait"),
    )
    min_access: int = setting(2, "Memories recalled so often are consolidated.", low=0, high=1_000_000_000)
    min_age_hours: float = setting(24.0, "And at least so old.", low=0, high=1e6)
    max_memories: int = setting(20_000, "Memories looked at in one run.", low=1, high=10_000_000)
    cosine: float = setting(0.6, "Memories this near belong together.", low=-1, high=1)
    cosine_in_time: float = setting(0.25, "Those within the gap need only this.", low=-1, high=1)
    gap_hours: float = setting(6.0, "Time between memories of one occasion.", low=0, high=1e6)
    min_group: int = setting(3, "Fewest memories of a group.", low=1, high=1000)
    max_group: int = setting(24, "Most memories of a group.", low=1, high=1000)
    share: float = setting(0.3, "Of the signs of a group that an extract may have.", low=0, high=1)
    max_facts: int = setting(12, "Most facts of a group.", low=1, high=1000)
    originals: str = setting(
        "cold",
        "Where the sources are kept afterwards: as they are, cold, or archived and found by id alone.",
        choices=("keep", "cold", "archived"),
    )
    recalled: str = setting(
        "warm",
        "Where a cold memory goes that was recalled since: near at hand again, or nowhere.",
        choices=("warm", "keep"),
    )
    max_tokens: int = setting(2048, "Most tokens of one answer.", low=16, high=1_000_000)
    timeout: float = setting(120.0, "Seconds that one answer may take.", low=0.1, high=86_400)
    attempts: int = setting(4, "Requests for one answer.", low=1, high=100)
    requests_per_minute: int = setting(0, "Requests in any minute; 0: no bound.", low=0, high=1_000_000)
    budget_tokens: int = setting(0, "Tokens of one run, read and written; 0: no bound.", low=0, high=1e12)
    budget_seconds: float = setting(0.0, "Seconds of one run; 0: no bound.", low=0, high=1e9)
    least_share: float = setting(
        0.1,
        "Share of the time that a run works while others recall, at least; 1 never rests for them.",
        low=0.01,
        high=1,
    )
    schedule: str = setting("30 3 * * *", "When --daemon runs it, a cron line in local time; empty: never.")
    pressure_high: str = setting("", "Size of a store above which --daemon runs it, for instance 2GiB.")
    pressure_low: str = setting("", "Size below which that is set again; empty: nine tenths.")
    policy: str = setting("value", "What is worth keeping close at hand: value, lru_tfidf.")
    hot_bytes: str = setting("", "Most bytes of hot and warm memories, for instance 500MB; empty: no bound.")
    cold_days: float = setting(0.0, "Days without recall until a memory is cold; 0: never.", low=0, high=1e6)
    archive_days: float = setting(
        0.0, "Days without recall until a cold one is archived; 0: never.", low=0, high=1e6
    )
