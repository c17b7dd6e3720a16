"""The memory for agents: a server of the Model Context Protocol over standard input and output.

::

    messages   lines of JSON-RPC 2.0: read within limits, checked, written
    protocol   the methods of the protocol, of both its generations
    serving    the loop: one thread reads, one works; cancelling, overload, the end

Of the package only `serve` is public. What the memory can do is `arrowmind.faces`.
"""

from __future__ import annotations

from arrowmind.mcp.protocol import Protocol
from arrowmind.mcp.serving import serve

__all__ = ["Protocol", "serve"]
