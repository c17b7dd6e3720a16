"""Matrices in training whose values go to and fro: how often their codes follow."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

__all__ = ["assert_goes_on", "changes_to_and_fro"]


def changes_to_and_fro(latents: list[Any], steps: list[Any]) -> list[float]:
    """Shares of codes that change as values take each step and come most of the way back, summed, by matrix.

    Codes are those that the forward saw, throughout.
    """
    changes = [0.0 for _ in latents]
    for step in steps:
        for at, latent in enumerate(latents):
            before = latent.weight().detach()
            with torch.no_grad():
                latent.values += step
            after = latent.weight().detach()
            changes[at] += float((before != after).float().mean())
            np.testing.assert_allclose(latent.codes().values(), after.numpy(), rtol=1e-5, atol=1e-6)
            with torch.no_grad():
                latent.values -= 0.9 * step
            latent.weight()
    return changes


def assert_goes_on(latent: Any, from_start: Any) -> None:
    """With the state of one, the other is the same."""
    with torch.no_grad():
        for name, tensor in from_start.state().items():
            tensor.copy_(latent.state()[name])
    np.testing.assert_array_equal(from_start.codes().values(), latent.codes().values())
    np.testing.assert_array_equal(from_start.weight().detach().numpy(), latent.weight().detach().numpy())
