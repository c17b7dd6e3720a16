"""What runs, where, and how it writes."""

from __future__ import annotations

from arrowmind.config.keys import setting
from arrowmind.frozen import dataclass

__all__ = ["DeviceSettings", "GenerationSettings", "ModelSettings", "WeightSettings"]

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
        indexed=_DEVICES[1:-1],
        env="ARROWMIND_DEVICE",
    )
    fallback: str = setting(
        "cpu",
        "When the device is not there, or fails: go on on the cpu (logged), or give an error.",
        choices=("cpu", "error"),
    )
    precision: str = setting(
        "float32",
        "How a device multiplies rows in floats by weights: as float32, or mixed, with rows rounded to "
        "bfloat16 and sums in float32; check a model with `arrowmind validate` first.",
        choices=("float32", "mixed"),
    )
    most_used: float = setting(
        0.98,
        "Share of a device's memory, whoever has it, above which the cpu serves instead.",
        low=0.1,
        high=1.0,
    )
    vram: str = setting(
        "",
        "Most memory of the device that a model may take, for instance 4GiB; what does not fit runs on the "
        "cpu. Empty: what is free, up to most_used.",
    )
    blocks: int = setting(
        -1,
        "Most blocks of a language model on the device, the last ones; -1: as many as fit.",
        low=-1,
        high=100_000,
    )
    prompt_rows: int = setting(
        -1,
        "Tokens of a prompt, read at once, from which on blocks that do not fit the device are sent there "
        "one after the other; 0: never; -1: from where it pays by what was measured of this machine.",
        low=-1,
        high=1_000_000,
    )
    prompt_share: float = setting(
        0.25,
        "Share of what a model has of the device that blocks on their way may take, where prompt_rows is -1.",
        low=0.0,
        high=1.0,
    )
    expert_threshold: float = setting(
        -1.0,
        "Share of the last tokens that must have used an expert of the cpu before it is brought to the "
        "device, where memory of it is left; 1: never; -1: what pays by what was measured of this machine.",
        low=-1.0,
        high=1.0,
    )
    forward_rows: int = setting(
        0,
        "Most tokens that a device reads at a time, of one text or of several; 0: as many as fill it, up to "
        "4096, and fewer where its memory is small.",
        low=0,
        high=32_768,
    )
    graphs: str = setting(
        "auto",
        "Forwards that come again, such as those of single tokens, are told to a device once and then run as "
        "one, where it can; check compares them with what they replace, each time.",
        choices=("auto", "off", "check"),
    )
    wgmma: str = setting(
        "auto",
        "Large products in mixed precision run by warpgroups where a device has these (NVIDIA's compute "
        "capability 9.0) and a trial when it is opened shows the results of other kernels; off: never.",
        choices=("auto", "off"),
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
