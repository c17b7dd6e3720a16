"""Leaves logging as it was: the command sets it up."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    root = logging.getLogger("arrowmind")
    before = list(root.handlers), root.propagate, root.level
    yield
    root.handlers[:], root.propagate = before[:2]
    root.setLevel(before[2])
