"""Adds feed-forwards with experts to a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from arrowmind import _native
from arrowmind.errors import WeightError
from arrowmind.models.spec import Linear

if TYPE_CHECKING:
    from arrowmind.engine.layers import Form, LayerBuilder
    from arrowmind.models.decoder_spec import GatedFeedForward, RmsNorm, RoutedFeedForward, Router

__all__ = ["Following", "add_routed", "groups_of_readers"]

# Experts whose matrices are rounded together, by the moments of what all tokens bring: more take more memory
# at a time, fewer more passes over the same rows.
_TOGETHER = 32
# Places of the matrices of an expert: gate and up, and down.
_READERS, _WRITERS, _MATRICES = (0, 1), (2,), 3


class Following(NamedTuple):
    """The next block with experts.

    Attributes:
        norm: before its experts and its router.
        routed: these.
    """

    norm: RmsNorm
    routed: RoutedFeedForward


def groups_of_readers(routed: RoutedFeedForward) -> list[tuple[Linear, ...]]:
    """The gates and ups of experts, in groups that quantisers take together."""
    parts = [routed.experts[at : at + _TOGETHER] for at in range(0, len(routed.experts), _TOGETHER)]
    return [tuple(layer for expert in part for layer in expert.readers) for part in parts]


def add_routed(
    layers: LayerBuilder,
    routed: RoutedFeedForward,
    source: int,
    stream: int,
    come_and_go: dict[str, Any] | None = None,
    following: Following | None = None,
) -> None:
    """Adds what the experts, and what all tokens pass, make of `source` to `stream`.

    Args:
        layers: adds operators.
        routed: what to add.
        source: buffer that enters.
        stream: buffer that gains.
        come_and_go: what the operator is told of experts that are not always in memory.
        following: the next block with experts, which are guessed while these compute; None: no guess.

    Raises:
        WeightError: a tensor is missing or has another shape than the others need.
    """
    plan = layers.plan
    if routed.shared is not None:
        _add_shared(layers, routed.shared, routed.shared_gate, source, stream)
    route = _add_router(layers, routed.router, len(routed.experts), source)
    for group in groups_of_readers(routed):
        layers.record(tuple(layer.weight for layer in group), source)
    matrices = [layer for expert in routed.experts for layer in (*expert.readers, *expert.writers)]
    for layer in matrices:
        if layers.has_input_scale(layer):
            raise WeightError(f"{layer.weight} scales its inputs, which experts do not; quantise it again")
    native = None if come_and_go is None else layers.native_rows(matrices)
    outer = layers.common_form(_unlike(matrices, native, _READERS))
    inner = layers.common_form(_unlike(matrices, native, _WRITERS))
    guess = -1 if following is None else _guess(layers, following, stream)
    plan.experts(
        native or [_described(layers, expert, outer, inner) for expert in routed.experts],
        layers.activations(source, outer),
        route,
        stream,
        activation=routed.experts[0].activation,
        inner=inner.type,
        inner_group=inner.group,
        residual=stream,
        moving=come_and_go,
        guess=guess,
    )


def _guess(layers: LayerBuilder, following: Following, stream: int) -> int:
    """The experts that the next block would ask for if the stream entered it as it is now.

    A block adds little to the stream, so the next router mostly says of what enters this block's experts what
    it will say of what leaves them (Eliseev and Mazur, "Fast Inference of Mixture-of-Experts Language Models
    with Offloading", 2023).
    """
    normed = layers.plan.buffer("fp32", layers.plan.columns(stream))
    layers.norm(following.norm, stream, normed)
    return _add_router(layers, following.routed.router, len(following.routed.experts), normed)


def _add_router(layers: LayerBuilder, router: Router, experts: int, source: int) -> int:
    """The buffer with the experts of each row and their weights."""
    plan = layers.plan
    logits, route = plan.buffer("fp32", experts), plan.buffer("fp32", 2 * router.top)
    layers.linear((Linear(router.weight),), source, logits, watched=False)
    plan.route(
        logits,
        route,
        router.top,
        score=router.score,
        bias=None if router.bias is None else layers.vector(router.bias, experts),
        groups=router.groups,
        kept=router.kept_groups,
        group_score=router.group_score,
        normalised=router.normalised,
        factor=router.factor,
    )
    return route


def _add_shared(
    layers: LayerBuilder, shared: GatedFeedForward, gate: Linear | None, source: int, stream: int
) -> None:
    plan = layers.plan
    inner = layers.gated(shared, source)
    if gate is None:
        layers.linear((shared.down,), inner, stream, residual=stream)
        return
    added = plan.buffer("fp32", plan.columns(stream))
    layers.linear((shared.down,), inner, added)
    # The sigmoid of one number: a router over one expert.
    logit, route = plan.buffer("fp32", 1), plan.buffer("fp32", 2)
    layers.linear((gate,), source, logit, watched=False)
    plan.route(logit, route, 1, score="sigmoid")
    plan.row_scale(route, added)
    plan.add(added, stream)


def _unlike(
    matrices: list[Linear], native: tuple[_native.WeightTable, list[int]] | None, places: tuple[int, ...]
) -> list[Linear]:
    """The matrices at these places of all experts; one of them where the native side says they are alike."""
    chosen = [place for place in range(len(matrices)) if place % _MATRICES in places]
    if native is not None and native[0].are_alike([native[1][place] for place in chosen]):
        chosen = chosen[:1]
    return [matrices[place] for place in chosen]


def _described(
    layers: LayerBuilder, expert: GatedFeedForward, outer: Form, inner: Form
) -> tuple[dict[str, object], dict[str, object], dict[str, object]]:
    gate, up = (_matrix(layers, layer, outer) for layer in (expert.gate, expert.up))
    return gate, up, _matrix(layers, expert.down, inner)


def _matrix(layers: LayerBuilder, layer: Linear, form: Form) -> dict[str, object]:
    described = layers.described(layer, layers.tensor(layer.weight))
    if form.type == "int8" and not described["streamed"]:
        described["paired"] = _native.linear_is_paired(described)
    return described
