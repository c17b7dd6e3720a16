"""The sections and their keys. A new key is one line here; file, environment and guide follow it."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from arrowmind.config.keys import Origin, Problem, keys, setting
from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "PROFILES",
    "Config",
    "ConsolidationSettings",
    "DeviceSettings",
    "GenerationSettings",
    "LogSettings",
    "MemorySettings",
    "ModelSettings",
    "PrecisionSettings",
    "PrivacySettings",
    "QuantizationSettings",
    "ResidencySettings",
    "ServerSettings",
    "StreamingSettings",
    "WeightSettings",
]

PROFILES = ("low_latency", "balanced", "high_throughput")
_DEVICES = ("auto", "cuda", "rocm", "vulkan", "mps", "cpu", "arm")
_ISAS = (
    *("", "scalar", "avx2", "avx512", "avx512vnni", "avx512vbmi", "avx512bf16", "amxbf16", "amxint8"),
    *("neon", "neondot", "neoni8mm", "sve"),
)


@dataclass(frozen=True)
class ModelSettings:
    """The model that commands use when none is named."""

    path: str = setting("models/minilm-int8", "Model folder used when none is named.")


@dataclass(frozen=True)
class WeightSettings:
    """How weights are opened."""

    verify: str = setting(
        "first_touch",
        "When weights.arrow is compared with its hash tree: never, each part when it is first used, or whole "
        "on opening.",
        choices=("off", "first_touch", "full"),
        refuse=True,
    )


@dataclass(frozen=True)
class DeviceSettings:
    """Where a model runs."""

    name: str = setting(
        "auto",
        "Device that runs the model; auto takes the best that is there.",
        choices=_DEVICES,
        env="ARROWMIND_DEVICE",
    )
    fallback: str = setting(
        "cpu",
        "When the named device is not there: go on on the cpu (logged), or give an error.",
        choices=("cpu", "error"),
    )
    threads: int = setting(0, "Threads of the native core; 0 means all processors.", low=0, high=1024)
    max_isa: str = setting(
        "",
        "Widest instruction set to use; may only lower what the processor has. Empty means all.",
        choices=_ISAS,
        env="ARROWMIND_MAX_ISA",
        refuse=True,
    )
    kernel: str = setting(
        "",
        "Kernels to force, separated by commas; `arrowmind doctor` lists the names. Empty means the best.",
        env="ARROWMIND_KERNEL",
        refuse=True,
    )


@dataclass(frozen=True)
class QuantizationSettings:
    """How `arrowmind quantize` turns numbers into codes."""

    type: str = setting("int8", "Type of the codes.", choices=("int8", "int4", "int2", "fp4"))
    calibration: str = setting("ptq", "How codes are found.", choices=("ptq", "gptq", "distill"))
    symmetric: bool = setting(False, "Codes centred on zero; false adds a zero point per channel: closer.")
    activation: str = setting(
        "auto",
        "Bits of the activations that meet the codes; auto chooses per tensor.",
        choices=("auto", "int16", "int8", "fp32"),
    )
    smoothing: float = setting(
        0.5, "Share of what inputs vary by that moves to the matrices; 0: no calibration.", low=0, high=1
    )
    keep: tuple[str, ...] = setting((), "Tensors or layers that stay in floating point: names or globs.")
    keep_type: str = setting("fp16", "Type of what stays in floating point.", choices=("fp16", "fp32"))
    on_failure: str = setting(
        "refuse",
        "When the result is below a threshold: refuse it, or swap its worst tensors for wider ones.",
        choices=("refuse", "swap"),
    )


@dataclass(frozen=True)
class PrecisionSettings:
    """What a quantised model must reach, or it is refused."""

    cosine_mean: float = setting(0.999, "Smallest mean cosine to the original embeddings.", low=-1, high=1)
    cosine_min: float = setting(0.997, "Smallest cosine of any text.", low=-1, high=1)
    overlap_at_10: float = setting(
        0.95, "Smallest mean share of a text's ten nearest that the original finds, too.", low=0, high=1
    )
    perplexity_ratio: float = setting(
        1.01, "Largest perplexity of a language model by the original's.", low=0, high=1e9
    )
    kl_mean: float = setting(
        0.01, "Largest mean divergence from what the original foretells, in nats.", low=0, high=1e9
    )
    kl_99: float = setting(0.1, "Largest divergence of 99 % of the tokens, in nats.", low=0, high=1e9)
    top1_agreement: float = setting(
        0.95, "Smallest share of tokens with the same most likely one.", low=0, high=1
    )
    generation_agreement: float = setting(
        0.9, "Smallest share of what it writes that the original would have chosen.", low=0, high=1
    )
    below: str = setting(
        "refuse",
        "When a model that is opened is below a threshold: refuse it, or log a warning.",
        choices=("refuse", "warn"),
    )


@dataclass(frozen=True)
class GenerationSettings:
    """How texts are generated."""

    cache_format: str = setting(
        "fp16",
        "Numbers of the cache: fp32, fp16; int8, k4v4, k4v3 where a measurement allows it.",
    )
    cache_tokens: int = setting(
        0,
        "Tokens of all texts together that the cache holds; 0: as many as the model reads.",
        low=0,
        high=1e9,
    )
    max_streams: int = setting(64, "Texts that are generated together; others wait.", low=1, high=4096)
    max_waiting: int = setting(256, "Texts that may wait; more are refused.", low=0, high=1_000_000)
    prompt_tokens: int = setting(
        512, "Tokens of prompts read at a time while nothing is written.", low=1, high=65_536
    )
    shared_prompt_tokens: int = setting(
        64, "The same while texts are written, whose next tokens wait that long.", low=1, high=65_536
    )
    prefill_chunk: int = setting(
        512,
        "Most tokens of one run of the model: more share what is read of it, and take more memory.",
        low=16,
        high=65_536,
    )
    kept_prefixes: int = setting(
        16, "Ended texts whose cache is kept for prompts that begin alike.", low=0, high=4096
    )


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
        "generation max_streams, prompt_tokens, shared_prompt_tokens and prefill_chunk.",
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
    schedule: str = setting("30 3 * * *", "When --daemon runs it, a cron line in local time; empty: never.")
    pressure_high: str = setting("", "Size of a store above which --daemon runs it, for instance 2GiB.")
    pressure_low: str = setting("", "Size below which that is set again; empty: nine tenths.")
    policy: str = setting("value", "What is worth keeping close at hand: value, lru_tfidf.")
    hot_bytes: str = setting("", "Most bytes of hot and warm memories, for instance 500MB; empty: no bound.")
    cold_days: float = setting(0.0, "Days without recall until a memory is cold; 0: never.", low=0, high=1e6)
    archive_days: float = setting(
        0.0, "Days without recall until a cold one is archived; 0: never.", low=0, high=1e6
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


@dataclass(frozen=True)
class Config:
    """All settings, with the origin of each and what was wrong on the way.

    Attributes:
        origins: Origin of every key that is not at its default.
        problems: Values and keys that could not be used.
        file: The YAML file that was read, empty if none.
    """

    model: ModelSettings = field(default_factory=ModelSettings)
    weights: WeightSettings = field(default_factory=WeightSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)
    quantization: QuantizationSettings = field(default_factory=QuantizationSettings)
    precision: PrecisionSettings = field(default_factory=PrecisionSettings)
    generation: GenerationSettings = field(default_factory=GenerationSettings)
    residency: ResidencySettings = field(default_factory=ResidencySettings)
    streaming: StreamingSettings = field(default_factory=StreamingSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
    memory: MemorySettings = field(default_factory=MemorySettings)
    privacy: PrivacySettings = field(default_factory=PrivacySettings)
    consolidation: ConsolidationSettings = field(default_factory=ConsolidationSettings)
    log: LogSettings = field(default_factory=LogSettings)
    origins: dict[str, Origin] = field(default_factory=dict, compare=False)
    problems: tuple[Problem, ...] = field(default=(), compare=False)
    file: str = field(default="", compare=False)

    def get(self, key: str) -> Any:
        """Value of a key by its full name, for instance `device.threads`.

        Raises:
            KeyError: there is no such key.
        """
        section, _, name = key.partition(".")
        if key not in keys(Config):
            raise KeyError(key)
        return getattr(getattr(self, section), name)

    def origin(self, key: str) -> Origin:
        """Where the value of a key comes from.

        Raises:
            KeyError: there is no such key.
        """
        if key not in keys(Config):
            raise KeyError(key)
        return self.origins.get(key, Origin())

    def items(self) -> Iterator[tuple[str, Any]]:
        """Full name and value of every key."""
        return ((key, self.get(key)) for key in keys(Config))
