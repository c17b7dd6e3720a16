"""Changed, swapped, cut and missing files of an encrypted store are errors, and nothing else is lost."""

from __future__ import annotations

import pytest

pytest.importorskip("sqlcipher3")

from tests.memory.encryption.samples import contents, fill, opened

from arrowmind.errors import OptimizationError


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sealed") / "store"
    with opened(folder) as store:
        fill(store)
    with opened(folder) as store:
        return folder, contents(store)


def files(folder):
    """Those that hold something of the memories."""
    names = ("segments", "blobs", "joint")
    return [path for path in sorted(folder.rglob("*")) if path.parent.name in names or is_database(path)]


def is_database(path):
    return path.name.startswith(("catalogue.", "encryption."))


def complaint(folder):
    """What opening, reading and verifying a store says; empty if it finds nothing."""
    try:
        with opened(folder) as store:
            contents(store)
            store.joint([41])
            return "; ".join(store.verify().problems)
    except OptimizationError as error:
        return str(error)


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 1.0])
def test_a_changed_byte_is_found_in_every_file(sample, place):
    folder, told = sample
    for path in [
        path for kind in ("segments", "blobs", "joint") for path in sorted((folder / kind).iterdir())
    ][::5]:
        whole = path.read_bytes()
        spot = round(place * (len(whole) - 1))
        path.write_bytes(whole[:spot] + bytes([whole[spot] ^ 4]) + whole[spot + 1 :])
        assert complaint(folder), (path, spot)
        path.write_bytes(whole)
    assert complaint(folder) == ""
    with opened(folder) as store:
        assert contents(store) == told


@pytest.mark.parametrize("page", [0, 1, 2, 5, -1])
def test_a_changed_byte_is_found_in_every_page_of_the_catalogue(sample, page):
    folder, told = sample
    path = next(folder.glob("catalogue.*.encrypted"))
    whole = path.read_bytes()
    spot = (4096 * page) % len(whole) + 1000
    path.write_bytes(whole[:spot] + bytes([whole[spot] ^ 4]) + whole[spot + 1 :])
    assert "restore" in complaint(folder) or "catalogue" in complaint(folder)
    path.write_bytes(whole)
    with opened(folder) as store:
        assert contents(store) == told


def test_files_do_not_open_in_the_place_of_others(sample):
    folder, _ = sample
    for kind in ("segments", "blobs"):
        one, other = sorted((folder / kind).iterdir())[:2]
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)
        assert complaint(folder), kind
        one.write_bytes(first)
        other.write_bytes(second)
    assert complaint(folder) == ""


def test_cut_files_are_found(sample):
    folder, _ = sample
    for path in [
        next((folder / "segments").iterdir()),
        next((folder / "blobs").iterdir()),
        folder / "encryption.key",
    ]:
        whole = path.read_bytes()
        for size in (0, 50, len(whole) - 1):
            path.write_bytes(whole[:size])
            assert complaint(folder), (path, size)
        path.write_bytes(whole)
    assert complaint(folder) == ""
