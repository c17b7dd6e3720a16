"""Servers that answer, refuse, vanish and come again; processes that are servers."""

from __future__ import annotations

import os

import pytest

from arrowmind.errors import InvalidArgumentError
from arrowmind.monitor import target_of
from tests.monitor.conftest import metrics_text


def test_a_server_is_read_by_any_of_its_names(server):
    for word in (
        server.address,
        f"127.0.0.1:{server.port}",
        f"{server.address}/v1",
        f"{server.address}/metrics",
    ):
        reading = target_of(word).read()
        assert reading.problem == ""
        assert reading.summary.models[0].name == "m"


def test_a_process_is_found_by_its_number(server):
    reading = target_of(str(os.getpid())).read()
    assert reading.target == f"process {os.getpid()}"
    assert reading.summary is not None or "answers" in reading.problem  # of several ports any may be first


def test_rates_come_with_the_second_reading(server):
    target = target_of(server.address)
    assert target.read().summary.models[0].tokens_per_second is None
    server.text = metrics_text(tokens=150)
    assert target.read().summary.models[0].tokens_per_second > 0


def test_a_server_that_is_gone_is_told_and_asked_again(server):
    target = target_of(server.address)
    first = target.read()
    server.stop()
    gone = target.read()
    assert "does not answer" in gone.problem
    assert "arrowmind serve" in gone.problem
    assert gone.summary == first.summary  # what was known last
    server.start()
    again = target.read()
    assert again.problem == ""
    assert again.summary.models[0].tokens_per_second is None  # there was no sample just before


@pytest.mark.parametrize(("status", "message"), [(401, "ARROWMIND_API_KEY"), (404, "answers 404")])
def test_refusals_are_told(server, status, message):
    server.status = status
    assert message in target_of(server.address).read().problem


def test_a_key_is_sent(server):
    target_of(server.address, key="secret").read()
    assert server.keys == ["Bearer secret"]


def test_what_is_no_metrics_is_told(server):
    server.text = '<html>{"a": 1}</html>'
    assert "Prometheus" in target_of(server.address).read().problem


@pytest.mark.parametrize("word", ["http://", "a b", "ftp://x", "http://x:99999999", "\x1b[2J"])
def test_words_that_name_nothing_are_refused(word):
    with pytest.raises(InvalidArgumentError, match="name one such as"):
        target_of(word)


def test_processes_that_are_no_server(monkeypatch):
    with pytest.raises(InvalidArgumentError, match="no process 99999999"):
        target_of("99999999")
    assert "listens nowhere" in target_of(str(os.getppid())).read().problem or os.getppid() == 1
    target = target_of(str(os.getppid()))
    target._pid = 99_999_999
    assert "is gone" in target.read().problem
