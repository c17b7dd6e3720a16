"""Stop strings in a stream: cut at the first, hold back no more than may begin one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arrowmind.generate import StopMatcher

STOPS = st.lists(st.text("ab", min_size=1, max_size=5), max_size=5)
CHUNKS = st.lists(st.text("abc", max_size=6), max_size=12)


def reference(text, stops):
    """Text before the stop string that is complete first, and that string; the longest of equals."""
    for end in range(1, len(text) + 1):
        found = [stop for stop in stops if text[:end].endswith(stop)]
        if found:
            longest = max(found, key=len)
            return text[: end - len(longest)], longest
    return text, None


@given(CHUNKS, STOPS)
def test_any_chunks_give_the_same(chunks, stops):
    matcher = StopMatcher(stops)
    given_, seen = "", ""
    for chunk in chunks:
        given_ += matcher.add(chunk)
        seen += chunk
        if matcher.matched is None:
            held = seen[len(given_) :]
            assert seen.startswith(given_)
            assert not held or any(stop.startswith(held) for stop in stops)
    given_ += matcher.finish()
    assert (given_, matcher.matched) == reference("".join(chunks), stops)


def test_across_tokens_and_after_a_false_start():
    matcher = StopMatcher(["\n\nUser:"])
    assert [matcher.add(text) for text in ("Hi", "\n", "\nUs", "e!", "\n\n", "User", ": x")] == [
        "Hi", "", "", "\n\nUse!", "", "", "",
    ]  # fmt: skip
    assert matcher.matched == "\n\nUser:"
    assert matcher.add("more") == matcher.finish() == ""


def test_the_end_gives_what_was_held():
    matcher = StopMatcher(["stop"])
    assert (matcher.add("don't sto"), matcher.finish(), matcher.matched) == ("don't ", "sto", None)


def test_without_stops_all_passes():
    matcher = StopMatcher([])
    assert (matcher.add("abc"), matcher.finish()) == ("abc", "")
