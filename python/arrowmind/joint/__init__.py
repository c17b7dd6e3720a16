"""One space for all kinds of content: maps between the spaces of encoders, fitted on what occurs together.

::

    ridge       the map from one space to another in closed form, with the penalty that held-out pairs choose
    pairs       rows that hold several kinds of content
    alignment   all maps between the kinds, and how far each is to be believed
    embedding   JointEmbedding: any mix of kinds as one vector of length 1
    state       an alignment as a file
    training    the trained fusion, and the check that decides whether it replaces the plain one (needs torch)
"""

from __future__ import annotations

from arrowmind.joint.alignment import Alignment
from arrowmind.joint.embedding import JOINT_DIMENSION, JointEmbedding
from arrowmind.joint.pairs import Rows

__all__ = ["JOINT_DIMENSION", "Alignment", "JointEmbedding", "Rows"]
