"""PyTorch in a process of its own, driven by JSON lines; see `arrowmind.bench.worker`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arrowmind.bench.worker import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from arrowmind.bench.contenders.base import Job

__all__ = ["Peer"]


class Peer:
    """Answers requests; a model is there for one of them alone."""

    def __init__(self, job: Job) -> None:
        del job

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answers one request; an exception becomes its text under `error`."""
        arguments = {name: value for name, value in request.items() if name != "do"}
        try:
            from arrowmind.bench.contenders import torch_device  # noqa: PLC0415  what it raises is told, too

            work: dict[str, Callable[..., dict[str, Any]]] = {
                "rate": torch_device.bf16_rate,
                "decoder": torch_device.time_decoder,
                "encoder": torch_device.time_encoder,
            }
            found = work[request["do"]](**arguments)
        except Exception as error:  # the parent tells it in place of a number
            return {"error": f"{type(error).__name__}: {error}"}
        return found


if __name__ == "__main__":
    serve(lambda job: Peer(job).handle)
