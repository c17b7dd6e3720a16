"""When consolidation runs: by a cron line, when a store grows too large, in a process that gives way.

::

    cron      five fields -> the next moment, in local time
    pressure  a store above its bound, with hysteresis
    daemon    the loop; clocks that jump do no harm
    priority  the lowest place for processor and disk
    giving_way  rests while others recall
    apart     a session of its own, where sessions share processors
"""

from __future__ import annotations

from arrowmind.consolidate.schedule.apart import run_apart
from arrowmind.consolidate.schedule.cron import CronSchedule
from arrowmind.consolidate.schedule.daemon import Daemon
from arrowmind.consolidate.schedule.giving_way import RecallGate
from arrowmind.consolidate.schedule.pressure import PressureTrigger
from arrowmind.consolidate.schedule.priority import give_way

__all__ = ["CronSchedule", "Daemon", "PressureTrigger", "RecallGate", "give_way", "run_apart"]
