"""Frozen dataclasses that share their methods are dataclasses in all else."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from arrowmind.frozen import dataclass


@dataclass(frozen=True)
class Point:
    """A place."""

    x: int
    y: int = 2
    tags: list[str] = dataclasses.field(default_factory=list, compare=False, repr=False)

    @property
    def sum(self) -> int:
        return self.x + self.y


@dataclasses.dataclass(frozen=True)
class Named(Point):
    """A place with a name, by the class of the standard library."""

    name: str = ""


@dataclass(frozen=True)
class Checked:
    """Refuses what is negative."""

    size: int

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("negative")

    def __repr__(self) -> str:
        return "checked"


def test_values_come_by_place_by_name_and_by_default():
    assert (Point(1).y, Point(1, 3).y, Point(y=4, x=1).y) == (2, 3, 4)
    one, other = Point(1), Point(1)
    one.tags.append("a")
    assert other.tags == []
    assert one.sum == 3


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "lacks 'x'"),
        ((1, 2, [], 4), {}, "takes 3 values; 4 were given"),
        ((1,), {"x": 1}, "got 'x' twice"),
        ((1,), {"z": 1}, "got 'z' and has no such field"),
    ],
)
def test_what_does_not_fit_is_refused(args, kwargs, message):
    with pytest.raises(TypeError, match=message):
        Point(*args, **kwargs)


def test_it_is_a_dataclass_to_the_standard_library():
    one = Point(1, tags=["a"])
    assert dataclasses.is_dataclass(Point)
    assert dataclasses.asdict(one) == {"x": 1, "y": 2, "tags": ["a"]}
    assert dataclasses.replace(one, x=5) == Point(5)
    assert repr(one) == "Point(x=1, y=2)"
    for other in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert other == one
        assert other.tags == ["a"]
    assert Named(1, name="n") != Point(1)
    assert Named(1, 2, [], "n").sum == 3


def test_equal_values_are_equal_and_hash_alike():
    assert {Point(1): "a"}[Point(1, 2, ["b"])] == "a"
    assert Point(1) != Point(2)
    assert Point(1) != (1, 2)


def test_fields_stay():
    one = Point(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="assign to field 'x'"):
        one.x = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match="delete field 'x'"):
        del one.x
    with pytest.raises(TypeError, match="not frozen"):
        dataclass(frozen=False)


def test_own_methods_stay():
    assert repr(Checked(1)) == "checked"
    with pytest.raises(ValueError, match="negative"):
        Checked(-1)
