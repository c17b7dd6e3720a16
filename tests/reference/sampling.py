"""The sampling chain, written out in float64 over the whole vocabulary, a sort at every step."""

from __future__ import annotations

import numpy as np


def penalised(logits, prompt, output, parameters):
    """Logits after bias and penalties, by dictionaries of counts."""
    result = logits.astype(np.float64)
    for token, bias in parameters.logit_bias.items():
        result[token] += bias
    history = [(token, False) for token in prompt] + [(token, True) for token in output]
    if parameters.penalty_window is not None:
        history = history[-parameters.penalty_window :]
    for token in {token for token, _ in history}:
        value = result[token]
        penalty = parameters.repetition_penalty
        value = value / penalty if value > 0 else value * penalty
        times = sum(1 for seen, generated in history if seen == token and generated)
        result[token] = (
            value - parameters.frequency_penalty * times - parameters.presence_penalty * (times > 0)
        )
    return result


def probabilities(logits, parameters):
    """float64 [vocabulary]: 0 for what is cut off; the rest sums to 1."""
    peak = logits.max()
    weights = np.exp((logits.astype(np.float64) - peak) / parameters.temperature)
    order = np.argsort(-logits, kind="stable")
    if parameters.top_k:
        weights[order[parameters.top_k :]] = 0
    if parameters.top_p < 1:
        sums = np.cumsum(weights[order])
        before = np.concatenate([[0.0], sums[:-1]])
        weights[order[before >= parameters.top_p * sums[-1]]] = 0
    if parameters.min_p > 0:
        weights[weights < parameters.min_p] = 0
    return weights / weights.sum()


def log_softmax(logits):
    shifted = logits.astype(np.float64) - logits.max()
    return shifted - np.log(np.exp(shifted).sum())
