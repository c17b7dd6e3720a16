"""PyTorch and Hugging Face on a device: the rate of bf16 products, and models with random weights."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["bf16_rate", "time_decoder", "time_encoder"]

_TOGETHER = 8  # products between two waits
_WARM = 3


def bf16_rate(device: str, size: int, rounds: int) -> dict[str, Any]:
    """Operations per second of a square product, two for each multiplication, and who made them."""
    a, b = (torch.randn(size, size, device=device).to(torch.bfloat16) for _ in range(2))

    def work() -> None:
        for _ in range(_TOGETHER):
            torch.matmul(a, b)

    seconds = _times(work, device, rounds)
    return {"operations_per_s": _TOGETHER * 2 * size**3 / statistics.median(seconds), "name": _name(device)}


def time_decoder(
    device: str, config: Mapping[str, Any], prompt: list[int], tokens: int, rounds: int
) -> dict[str, Any]:
    """Seconds of a prompt and the likeliest tokens after it, in FP16, eager, with a cache."""
    from transformers import AutoConfig, AutoModelForCausalLM  # noqa: PLC0415

    made = AutoConfig.for_model(**config)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(made, dtype=torch.float16).eval()

    def write() -> None:
        ids, past = torch.tensor([prompt], device=device), None
        for _ in range(tokens):
            out = model(input_ids=ids, past_key_values=past, use_cache=True, logits_to_keep=1)
            past, ids = out.past_key_values, out.logits[:, -1:].argmax(-1)

    return {"seconds": _times(write, device, rounds), "name": _name(device)}


def time_encoder(
    device: str, config: Mapping[str, Any], batch: int, length: int, rounds: int, backend: str
) -> dict[str, Any]:
    """Seconds of a batch of texts of one length to unit vectors, in FP16, by `torch.compile`."""
    from transformers import AutoConfig, AutoModel  # noqa: PLC0415

    made = AutoConfig.for_model(**config)
    with torch.device(device):
        model = AutoModel.from_config(made, dtype=torch.float16).eval()
        ids = torch.randint(0, config["vocab_size"], (batch, length))

    def forward(ids: torch.Tensor) -> torch.Tensor:
        return functional.normalize(model(input_ids=ids).last_hidden_state.mean(1), dim=-1)

    compiled = torch.compile(forward, backend=backend)
    return {"seconds": _times(lambda: compiled(ids).cpu(), device, rounds), "name": _name(device)}


def _times(work: Callable[[], Any], device: str, rounds: int) -> list[float]:
    found = []
    with torch.inference_mode():
        for _ in range(_WARM):
            work()
        for _ in range(rounds):
            _wait(device)
            began = time.perf_counter()
            work()
            _wait(device)
            found.append(time.perf_counter() - began)
    return found


def _wait(device: str) -> None:
    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.synchronize(device)
    elif kind == "mps":
        torch.mps.synchronize()


def _name(device: str) -> str:
    on = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device
    return f"torch {torch.__version__} on {on}"
