"""All experts of a layer at once on a device: the CPU's bits, few launches, and nobody waits for a route."""

from __future__ import annotations

import pytest
from tests.engine.placed import ROUTED, compiled, forwards, ids, settings, talk
from tests.engine.test_residence import models
from tests.kernels.rows import assert_all_same_bits

from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.on_device import DeviceHost

KINDS = ("int8", "int4", "int2")


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    """Models of experts whose weights are codes."""
    made = {}

    def folder(name, kind):
        if (name, kind) not in made:
            made[name, kind] = models(tmp_path_factory.mktemp(f"{name}-{kind}"), name, kind)
        return made[name, kind]

    return folder


def on_device(folder, *, falls_back=False, graphs="auto"):
    host = DeviceHost("cuda:0", falls_back=falls_back, graphs=graphs)
    return CachedDecoder(compiled(folder, host), settings("fp16"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ROUTED)
def test_codes_have_the_bits_of_the_cpu(fake, coded, name, kind):
    folder = coded(name, kind)
    before = forwards("cpu")
    found = talk(on_device(folder))
    assert forwards("cpu") == before
    assert_all_same_bits(found, talk(CachedDecoder(compiled(folder), settings("fp16"))))


def work_of(fake, cached, rows, **told):
    """Launches and waits of one forward of so many rows, once everything is there."""
    handle = cached.start()
    cached.append([(handle, ids(rows), 1)])
    cached.close(handle)
    handle = cached.start()
    fake.set(**told)
    cached.append([(handle, ids(rows), 1)])
    work = fake.work()
    cached.close(handle)
    return work


def routed_layers(folder):
    return sum(hasattr(block.feed_forward, "router") for block in folder.decoder.blocks)


@pytest.mark.parametrize("name", ROUTED)
def test_a_layer_has_as_many_launches_whatever_its_experts(fake, folders, name):
    folder = folders(name)
    fake.set()
    launches, waits = zip(
        *(work_of(fake, on_device(folder, graphs="off"), rows) for rows in (1, 8)), strict=True
    )
    assert launches[0] == launches[1]
    assert waits == (2, 2)  # for hidden states, and for logits
    fake.set(place=64)  # no room for all at a place: expert by expert
    more = work_of(fake, on_device(folder, graphs="off"), 8, place=64)
    assert more[0] > launches[1]
    assert more[1] == 2 + routed_layers(folder)


def test_one_by_one_where_a_kernel_takes_too_little_at_a_place(fake, folders):
    expected = talk(CachedDecoder(compiled(folders("mixtral")), settings("fp16")))
    fake.set(place=64)
    assert_all_same_bits(talk(on_device(folders("mixtral"))), expected)


@pytest.mark.parametrize(("name", "kind"), [("mixtral", "int4"), ("deepseek-v3", "int8")])
def test_a_failure_at_any_call_changes_nothing(fake, coded, name, kind):
    folder = coded(name, kind)

    def script(cached, fault):
        first = cached.start()
        found = [cached.append([(first, ids(9), 9)])[0]]
        fake.set(**fault)
        found.append(cached.append([(first, ids(3, 1), 3)])[0])
        calls = fake.report()["calls"]
        fake.set()
        found.append(cached.append([(first, [5], 1)])[0])
        cached.close(first)
        return found, calls

    fake.set()
    expected, _ = script(CachedDecoder(compiled(folder), settings("fp16")), {})
    cached = on_device(folder, falls_back=True)
    found, calls = script(cached, {})
    assert_all_same_bits(found, expected)
    assert calls > 30
    before = forwards("cpu")
    for call in range(1, calls + 1):
        found, _ = script(cached, {"at": call, "status": 2 if call % 2 else 5})
        assert_all_same_bits(found, expected)
    assert forwards("cpu") > before + calls // 2
    found, _ = script(cached, {"lost": calls // 2})
    assert_all_same_bits(found, expected)
