"""Architectures as data: one file per family, found by the registry."""
