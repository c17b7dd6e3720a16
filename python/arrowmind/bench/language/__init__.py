"""Language models beside llama.cpp: one shape, seeded random weights, decoding and prefill.

::

    shape            the shape, and its weights drawn from a seed
    forms            weights as our files hold them, width by width
    contenders       what can be measured, by name
    ours, llama_cpp  a contender's files, and a session that reads tokens (llama_session)
    worker           a contender in a process of its own
    bandwidth        what this machine reads from memory per second
    race             all of them side by side, round after round
    targets, report  the numbers we hold ourselves to; tables
    command          `arrowmind bench llm`
"""

from __future__ import annotations
