"""LoCoMo: long conversations of two people, with questions and the turns that answer them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from arrowmind.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CATEGORIES", "Conversation", "Question", "Turn", "read_conversations"]

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
"""By their true meaning, which the numbers in the file do not tell."""

_MOMENT = "%I:%M %p on %d %B, %Y"
_EVIDENCE = re.compile(r"D:?(\d+):(\d+)")
# The file dates sessions only; their turns follow one another at this distance.
_TURN_SECONDS = 20


@dataclass(frozen=True)
class Turn:
    """What one of the two said.

    Attributes:
        text: ``speaker: words``, with the caption of a picture that was shared.
        session: number of the session, from 0.
        moment: when.
    """

    text: str
    session: int
    moment: datetime


@dataclass(frozen=True)
class Question:
    """A question and the turns that answer it, by their places in the conversation."""

    text: str
    category: str
    turns: frozenset[int]


@dataclass(frozen=True)
class Conversation:
    """Turns in order, and questions that some turn answers."""

    name: str
    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]

    def sessions_of(self, question: Question) -> frozenset[int]:
        """Sessions of the turns that answer."""
        return frozenset(self.turns[place].session for place in question.turns)


def read_conversations(path: Path) -> list[Conversation]:
    """The conversations of a file, or of the JSON files of a folder, in the order of their names.

    Questions that name no turn of their conversation are left out: nothing could be found for them.

    Raises:
        ConfigurationError: there is none, or it is not of this form.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise ConfigurationError(f"{path}: holds no JSON file; name the folder of locomo-dev.json")
    conversations = []
    for file in files:
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
            conversations += [_conversation(item, f"{file.stem}/{place}") for place, item in enumerate(raw)]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"{file}: is no file of LoCoMo conversations ({error!r}); name the folder of locomo-dev.json"
            ) from error
    return conversations


def _conversation(raw: dict[str, Any], name: str) -> Conversation:
    turns: list[Turn] = []
    places: dict[str, int] = {}
    spoken = raw["conversation"]
    numbers = sorted(int(key[8:]) for key in spoken if re.fullmatch(r"session_\d+", key))
    for number in numbers:
        begun = datetime.strptime(spoken[f"session_{number}_date_time"], _MOMENT).replace(tzinfo=timezone.utc)
        for order, item in enumerate(spoken[f"session_{number}"]):
            places[item["dia_id"]] = len(turns)
            moment = begun + timedelta(seconds=_TURN_SECONDS * order)
            turns.append(Turn(_text(item), number - 1, moment))
    questions = [_question(item, places) for item in raw["qa"]]
    return Conversation(name, tuple(turns), tuple(item for item in questions if item.turns))


def _text(item: dict[str, Any]) -> str:
    caption = item.get("blip_caption")
    shared = f" [shares {caption}]" if caption else ""
    return f"{item['speaker']}: {item['text']}{shared}"


def _question(item: dict[str, Any], places: dict[str, int]) -> Question:
    named = {f"D{s}:{t}" for line in item["evidence"] for s, t in _EVIDENCE.findall(line)}
    return Question(
        item["question"],
        CATEGORIES[item["category"]],
        frozenset(places[key] for key in named & places.keys()),
    )
