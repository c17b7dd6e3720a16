"""Language models behind an interface: messages and a JSON schema go in, an object that fits it comes out.

::

    base      Provider, Message, Completion, ProviderSettings
    http      one request with a deadline and a bound on the answer
    answers   the answer as JSON, looked at with suspicion
    keys      API keys from the environment or a file of mode 600
    retrying  rate limit, back-off with jitter
"""

from __future__ import annotations

from arrowmind.consolidate.remote.base import Completion, Message, Provider, ProviderSettings
from arrowmind.consolidate.remote.retrying import Patience, Retrying

__all__ = ["Completion", "Message", "Patience", "Provider", "ProviderSettings", "Retrying"]
