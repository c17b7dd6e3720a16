"""Gradients of a step in parts that threads work on side by side.

The parts of a batch are the same for every number of threads, and their gradients are added in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arrowmind.quantize.distill.objective import Objective
    from arrowmind.quantize.distill.side_by_side import SideBySide

    Tensors = Mapping[str, Any]

__all__ = ["backward"]


def backward(
    objective: Objective,
    teacher: Tensors,
    student: Tensors,
    parts: list[list[list[int]]],
    threads: SideBySide,
) -> float:
    """Adds the gradients of the mean loss to what the student's tensors were made of.

    Args:
        objective: whose loss is a mean over sequences.
        teacher: tensors of the original.
        student: those in training; the ones that learn require gradients.
        parts: sequences of token ids; parts are taken side by side.
        threads: that take them.

    Returns:
        The objective's figure.
    """
    if len(parts) == 1:
        loss, figure = objective(teacher, student, parts[0])
        loss.backward()
        return figure
    learning = [name for name, tensor in student.items() if tensor.requires_grad]

    def of(sequences: list[list[int]]) -> tuple[tuple[Any, ...], float]:
        own = {name: student[name].detach().requires_grad_() for name in learning}
        loss, figure = objective(teacher, {**student, **own}, sequences)
        return torch.autograd.grad(loss, list(own.values()), materialize_grads=True), figure

    total = [torch.zeros_like(student[name]) for name in learning]
    whole, told = sum(map(len, parts)), 0.0
    for part, (gradients, figure) in zip(parts, threads.map(of, parts), strict=True):
        torch._foreach_add_(total, gradients, alpha=len(part) / whole)
        told += figure * len(part) / whole
    torch.autograd.backward([student[name] for name in learning], total)
    return told
