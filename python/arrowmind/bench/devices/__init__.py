"""`arrowmind bench gpu`: a device's own limits, its kernels beside them, and whole models beside the CPU."""

from __future__ import annotations
