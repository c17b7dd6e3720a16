"""Look at machine, kernels, packages and settings; say what is missing and how to get it."""

from __future__ import annotations

from dataclasses import asdict

import typer

from arrowmind.cli.diagnosis import BAD, OK, Finding, examine
from arrowmind.cli.failure import FAILED
from arrowmind.cli.render import print_table, write
from arrowmind.cli.session import Session

__all__ = ["lenient", "run"]

lenient = True


def run(session: Session) -> None:
    findings = examine(session)
    healthy = all(finding.status != BAD for finding in findings)
    session.show(
        {"healthy": healthy, "findings": [asdict(finding) for finding in findings]},
        lambda: _print(findings, healthy=healthy),
    )
    if not healthy:
        raise typer.Exit(FAILED)


def _print(findings: list[Finding], *, healthy: bool) -> None:
    rooms = dict.fromkeys(finding.room for finding in findings)
    for room in rooms:
        write(f"\n{room}")
        print_table([_row(finding) for finding in findings if finding.room == room])
    bad = sum(finding.status == BAD for finding in findings)
    write("\nAll is well." if healthy else f"\n{bad} of {len(findings)} findings are bad.")


def _row(finding: Finding) -> list[str]:
    mark = "  " if finding.status == OK else finding.status
    text = f"{finding.text}: {finding.remedy}" if finding.remedy else finding.text
    return [f"  {mark:4}", finding.name, text]
