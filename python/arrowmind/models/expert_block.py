"""What the files of families with experts share: keys of experts, and which blocks have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.errors import WeightError
from arrowmind.models.decoder_spec import GatedFeedForward, RoutedFeedForward, Router

if TYPE_CHECKING:
    from arrowmind.models.decoder_block import BlockKeys
    from arrowmind.models.spec import Linear

__all__ = ["count_of", "experts_of", "is_sparse", "plain_router", "routed"]

_PARTS = ("gate_proj", "up_proj", "down_proj")


def is_sparse(block: BlockKeys) -> bool:
    """Whether a block of the Qwen families has experts: every so many, but for those that are named."""
    if block.index in (block.config.integers("mlp_only_layers") or ()):
        return False
    return (block.index + 1) % block.config.integer("decoder_sparse_step", 1) == 0


def count_of(block: BlockKeys, *keys: str) -> int:
    """The number of experts, under the first of `keys` that config.json has."""
    return block.config.integer(next((key for key in keys if block.config.has(key)), keys[0]))


def plain_router(block: BlockKeys, name: str, *, normalised: bool) -> Router:
    """A softmax over all experts, the best of which are taken."""
    top = block.config.integer("num_experts_per_tok")
    return Router(block.linear(name).weight, top, normalised=normalised)


def experts_of(
    block: BlockKeys, name: str, count: int, parts: tuple[str, str, str] = _PARTS
) -> tuple[GatedFeedForward, ...]:
    """The experts whose keys begin with `name`.

    Raises:
        WeightError: a matrix of one is not there.
    """
    experts = tuple(block.gated(f"{name}.{number}", parts) for number in range(count))
    for expert in experts:
        for layer in (expert.gate, expert.up, expert.down):
            _require(block, layer, f"config.json says {count} experts")
    return experts


def routed(
    router: Router,
    experts: tuple[GatedFeedForward, ...],
    block: BlockKeys,
    shared: str | None = None,
    shared_gate: str | None = None,
) -> RoutedFeedForward:
    """Experts behind a router, with a shared feed-forward called `shared`, gated by `shared_gate`.

    Raises:
        WeightError: the router is not there, or chooses more than there is.
    """
    _check(router, len(experts))
    for name in (router.weight, router.bias):
        if name is not None and name not in block.names:
            raise WeightError(f"the weights hold no tensor {name!r}, which sends tokens to experts")
    return RoutedFeedForward(
        router,
        experts,
        None if shared is None else block.gated(shared),
        None if shared_gate is None else block.linear(shared_gate),
    )


def _check(router: Router, experts: int) -> None:
    size, groups, kept = experts // router.groups, router.groups, router.kept_groups
    if experts % groups or kept > groups:
        raise WeightError(
            f"config.json: n_group is {groups} and topk_group {kept}: groups divide the {experts} experts, "
            "and no more of them are kept than there are"
        )
    if router.top > kept * size:
        raise WeightError(
            f"config.json: num_experts_per_tok is {router.top}, and there are {kept * size} experts to "
            "choose from"
        )
    if router.group_score == "two-largest" and size < 2:
        raise WeightError(f"config.json: n_group is {groups}: groups of one expert have no two best")


def _require(block: BlockKeys, layer: Linear, why: str) -> None:
    if layer.weight not in block.names:
        raise WeightError(f"the weights hold no tensor {layer.weight!r}, but {why}")
