"""`python -m arrowmind`."""

from __future__ import annotations

import sys

from arrowmind.cli import main

if __name__ == "__main__":
    sys.exit(main())
