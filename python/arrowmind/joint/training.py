"""The trained fusion: contrastive over the user's own rows, and kept only if it finds more on rows held out.

Each row of a batch is seen twice, by two parts of the kinds it holds (modality dropout); both must find each
other among the batch. Source of the loss: van den Oord et al., Representation Learning with Contrastive
Predictive Coding (2018). Needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import ConfigurationError, InvalidArgumentError
from arrowmind.joint.embedding import JOINT_DIMENSION, Fusion, JointEmbedding
from arrowmind.joint.judging import found_across

if TYPE_CHECKING:
    from arrowmind.joint.pairs import Rows
    from arrowmind.observe import Progress

__all__ = ["Trained", "train_fusion"]

LEAST_ROWS = 64
_HELD_OUT = 5  # every fifth row
_TEMPERATURE = 0.07


@dataclass(frozen=True)
class Trained:
    """What came of a training.

    Attributes:
        joint: the better one of before and after.
        before: share of held-out rows that one kind finds by another, closed form.
        after: the same, trained.
        replaced: whether the trained one is better.
    """

    joint: JointEmbedding
    before: float
    after: float
    replaced: bool


def train_fusion(
    joint: JointEmbedding,
    rows: Rows,
    *,
    steps: int = 300,
    batch: int = 128,
    hidden: int = 256,
    rate: float = 1e-3,
    seed: int = 0,
    progress: Progress,
) -> Trained:
    """Trains projections, attention and perceptron; the same rows and seed give the same weights.

    Args:
        joint: the closed-form embedding to start from, and to compare with.
        rows: the user's own; only those that hold several kinds are used.
        steps: of training.
        batch: rows of a step.
        hidden: width of the perceptron.
        rate: of Adam.
        seed: of order, dropout and weights.
        progress: called with (steps done, all, "training").

    Raises:
        InvalidArgumentError: too few rows hold several kinds.
        ConfigurationError: torch is not installed.
    """
    several = sum(mask.astype(np.int64) for mask in rows.present.values()) >= 2
    usable = rows.chosen(np.asarray(several, dtype=np.bool_))
    if len(usable) < LEAST_ROWS:
        raise InvalidArgumentError(
            f"{len(usable)} memories hold several kinds of content, {LEAST_ROWS} are needed to train on"
        )
    held = np.arange(len(usable)) % _HELD_OUT == 0
    learner = _Learner(joint, usable.chosen(~held), hidden, seed)
    for step in range(steps):
        learner.step(min(batch, len(usable)), rate)
        progress(step + 1, steps, "training")
    trained = JointEmbedding(joint.alignment, learner.fusion(), joint.anchor)
    rest = usable.chosen(held)
    before, after = found_across(joint, rest), found_across(trained, rest)
    return Trained(trained if after > before else joint, before, after, after > before)


class _Learner:
    """Weights on their way."""

    def __init__(self, joint: JointEmbedding, rows: Rows, hidden: int, seed: int) -> None:
        try:
            import torch  # noqa: PLC0415  heavy and optional
        except ImportError as error:
            raise ConfigurationError(
                "training the fusion needs torch; pip install 'arrowmind[train]', or use the closed form"
            ) from error
        self._torch, self._kinds = torch, sorted(rows.vectors)
        self._chance = np.random.default_rng(seed)
        generator = torch.Generator().manual_seed(seed)
        tokens = [joint.token(kind, rows.vectors[kind]) for kind in self._kinds]
        self._tokens = torch.from_numpy(np.stack(tokens, axis=1))
        self._present = np.stack([rows.present[kind] for kind in self._kinds], axis=1)

        def weights(*shape: int, scale: float = 0.0) -> Any:
            return (scale * torch.randn(*shape, generator=generator)).requires_grad_()

        wide = (JOINT_DIMENSION, JOINT_DIMENSION)
        self._projections = weights(len(self._kinds), *wide)
        self._query, self._bias = weights(JOINT_DIMENSION), weights(len(self._kinds))
        self._first = weights(JOINT_DIMENSION, hidden, scale=JOINT_DIMENSION**-0.5)
        self._second = weights(hidden, JOINT_DIMENSION)
        self._all = [self._projections, self._query, self._bias, self._first, self._second]
        self._adam = torch.optim.AdamW(self._all, weight_decay=1e-3)

    def step(self, batch: int, rate: float) -> None:
        """One batch."""
        torch = self._torch
        count = len(self._present)
        chosen = self._chance.choice(count, min(batch, count), replace=False)
        one, other = self._halves(self._present[chosen])
        tokens = self._tokens[torch.from_numpy(chosen)]
        left, right = self._embed(tokens, one), self._embed(tokens, other)
        likeness, wanted = left @ right.T / _TEMPERATURE, torch.arange(len(chosen))
        loss = torch.nn.functional.cross_entropy(likeness, wanted)
        loss = loss + torch.nn.functional.cross_entropy(likeness.T, wanted)
        self._adam.param_groups[0]["lr"] = rate
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()

    def _halves(self, present: Any) -> tuple[Any, Any]:
        """Two parts of the kinds of each row, neither of them empty."""
        order = np.where(present, self._chance.random(present.shape), 2.0).argsort(axis=1)
        first, second = order[:, :1], order[:, 1:2]
        side = self._chance.random(present.shape) < 0.5
        places = np.arange(len(present))[:, None]
        side[places, first], side[places, second] = True, False
        return present & side, present & ~side

    def _embed(self, tokens: Any, present: Any) -> Any:
        torch = self._torch
        normalise = torch.nn.functional.normalize
        moved = normalise(tokens + torch.einsum("nkd,kde->nke", tokens, self._projections), dim=-1)
        weight = torch.exp((moved @ self._query + self._bias).clamp(-20, 20)) * torch.from_numpy(present)
        pooled = (moved * weight[..., None]).sum(1) / weight.sum(1, keepdim=True)
        return normalise(pooled + torch.relu(pooled @ self._first) @ self._second, dim=-1)

    def fusion(self) -> Fusion:
        """The weights as they are."""
        projections, query, bias, first, second = (weights.detach().numpy() for weights in self._all)
        return Fusion(
            {kind: projections[place].copy() for place, kind in enumerate(self._kinds)},
            query.copy(),
            {kind: float(bias[place]) for place, kind in enumerate(self._kinds)},
            first.copy(),
            second.copy(),
        )
