"""A file of the form of LoCoMo, with two small conversations."""

from __future__ import annotations

import json

FRIENDS = {
    "conversation": {
        "speaker_a": "Ann",
        "speaker_b": "Ben",
        "session_2_date_time": "9:05 am on 3 June, 2023",
        "session_2": [
            {"speaker": "Ben", "dia_id": "D2:1", "text": "I bought a kayak yesterday."},
            {"speaker": "Ann", "dia_id": "D2:2", "text": "Lovely!", "blip_caption": "a red kayak on a roof"},
        ],
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [
            {"speaker": "Ann", "dia_id": "D1:1", "text": "What are you growing this year?"},
            {"speaker": "Ben", "dia_id": "D1:2", "text": "Pumpkins, and beans along the fence."},
        ],
        "session_3_date_time": "1:00 pm on 9 June, 2023",
    },
    "qa": [
        {"question": "What does Ben grow?", "evidence": ["D1:2"], "category": 4},
        {"question": "When did Ben buy a kayak?", "evidence": ["D2:1; D2:2"], "category": 2},
        {"question": "Does Ben ski?", "evidence": [], "category": 5},
        {"question": "Where is Ben?", "evidence": ["D9:9"], "category": 3},
    ],
}


def write_conversations(folder):
    """The folder with one file of the conversation, twice."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "two.json").write_text(json.dumps([FRIENDS, FRIENDS]), encoding="utf-8")
    return folder
