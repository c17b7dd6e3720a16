"""Where memories are kept: hot, warm, cold or archived.

::

    columns   what is known of each memory, as arrays
    policies  what is worth keeping close at hand: one file each
    planning  scores and bounds -> moves
    dialogue  Compressor and Reconstructor: an exact tail, a summary, and the rest in a block
"""

from __future__ import annotations

from arrowmind.consolidate.tiering.columns import MemoryColumns, columns_of
from arrowmind.consolidate.tiering.dialogue import CompressedDialogue, Compressor, Reconstructor
from arrowmind.consolidate.tiering.planning import TierLimits, plan_tiers
from arrowmind.consolidate.tiering.policies import open_policy, policy_names

__all__ = [
    "CompressedDialogue",
    "Compressor",
    "MemoryColumns",
    "Reconstructor",
    "TierLimits",
    "columns_of",
    "open_policy",
    "plan_tiers",
    "policy_names",
]
