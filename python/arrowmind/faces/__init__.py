"""The memory as other programs ask for it: JSON in, JSON out, whatever the way it comes.

::

    moments   times as people, files and programs write them
    fields    what an operation takes: checked, and told as a JSON schema
    views     memories and hits -> JSON
    desk      MemoryDesk: the operations, over one store
"""

from __future__ import annotations

from arrowmind.faces.desk import OPERATIONS, MemoryDesk, Operation, UnknownMemoryError

__all__ = ["OPERATIONS", "MemoryDesk", "Operation", "UnknownMemoryError"]
