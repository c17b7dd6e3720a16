"""Print the version."""

from __future__ import annotations

import arrowmind
from arrowmind.cli.render import write
from arrowmind.cli.session import Session


def run(session: Session) -> None:
    version = arrowmind.__version__
    session.show({"version": version}, lambda: write(f"arrowmind {version}"))
