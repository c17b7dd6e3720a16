from __future__ import annotations

import pkgutil

from arrowmind.privacy import detectors, known_kinds
from arrowmind.privacy.registry import detectors_of


def test_every_file_brings_a_detector():
    files = {module.name for module in pkgutil.iter_modules(detectors.__path__)}
    found = {one.find.__module__.rpartition(".")[2] for one in detectors_of(["all"])}
    assert files == found


def test_kinds_fit_into_pseudonyms():
    assert all(kind.replace("_", "").isalnum() and kind == kind.lower() for kind in known_kinds())
