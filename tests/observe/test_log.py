from __future__ import annotations

import io
import json
import logging
import subprocess
import sys

import pytest

from arrowmind.errors import InvalidArgumentError
from arrowmind.observe import configure_logging, get_logger, record_fallback


def written(level="info", style="json", **kwargs):
    stream = io.StringIO()
    configure_logging(level, style, stream=stream, **kwargs)
    return stream


def test_json_lines():
    stream = written()
    get_logger("weights").bind(model="m").info("opened", schema=2, path="/a b", shape=(1, 2), odd=object)
    record = json.loads(stream.getvalue())
    assert record["event"] == "opened"
    assert record["logger"] == "arrowmind.weights"
    assert record["level"] == "info"
    assert (record["model"], record["schema"], record["path"], record["shape"]) == ("m", 2, "/a b", [1, 2])
    assert record["timestamp"].endswith("Z")


def test_fields_do_not_hide_the_event():
    stream = written()
    get_logger("x").info("real", event="false", level="none", timestamp=0)
    record = json.loads(stream.getvalue())
    assert (record["event"], record["level"]) == ("real", "info")
    assert (record["event_"], record["level_"], record["timestamp_"]) == ("false", "none", 0)


def test_one_line_per_event_whatever_it_holds():
    for style in ("json", "console"):
        stream = written(style=style)
        get_logger("x").info("line\nbreak", text="a\nb\x1b[31m\ud800")
        lines = stream.getvalue().encode("utf-8", "backslashreplace").splitlines()
        assert len(lines) == 1 or style == "console"
        if style == "json":
            assert json.loads(lines[0])["text"] == "a\nb\x1b[31m\ud800"


def test_console():
    stream = written(style="console")
    get_logger("x").warning("careful", count=3, name="two words")
    line = stream.getvalue()
    assert "[warning] careful [arrowmind.x] count=3 name='two words'" in line
    assert "\x1b" not in line


def test_level_and_reconfiguration():
    first = written("warning")
    second = written("debug")
    get_logger("x").debug("low")
    assert first.getvalue() == ""
    assert json.loads(second.getvalue())["event"] == "low"


def test_exceptions():
    for style in ("json", "console"):
        stream = written(style=style)
        try:
            raise RuntimeError("deep")
        except RuntimeError:
            get_logger("x").exception("failed", step=1)
        assert "RuntimeError: deep" in stream.getvalue()


def test_standard_records_are_formatted_too():
    stream = written()
    logging.getLogger("arrowmind.config").error("%s is odd", "it", extra={"fields": {"key": "a.b"}})
    record = json.loads(stream.getvalue())
    assert (record["event"], record["key"]) == ("it is odd", "a.b")


def test_unconfigured_use_reads_as_text(caplog):
    get_logger("x").warning("careful", count=3, text="a b", empty="")
    assert caplog.messages == ["careful count=3 text='a b' empty=''"]
    assert caplog.records[0].name == "arrowmind.x"
    assert caplog.records[0].funcName == "test_unconfigured_use_reads_as_text"


def test_names():
    assert get_logger("arrowmind.weights.file")._logger.name == "arrowmind.weights.file"
    assert get_logger("arrowmindless")._logger.name == "arrowmind.arrowmindless"


@pytest.mark.parametrize("arguments", [("loud", "json"), ("info", "xml")])
def test_unknown_settings(arguments):
    with pytest.raises(InvalidArgumentError, match="use one of"):
        configure_logging(*arguments)


def test_fallback_is_logged_and_counted():
    from arrowmind.observe import metrics

    stream = written("warning")
    record_fallback("device", "no driver", asked="cuda")
    record = json.loads(stream.getvalue())
    assert (record["event"], record["what"], record["reason"], record["asked"]) == (
        "fallback",
        "device",
        "no driver",
        "cuda",
    )
    assert metrics.fallback_events.values() == {("device", "no driver"): 1}


def python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


def test_quiet_by_default_and_nothing_heavy_imported():
    code = (
        "import sys; from arrowmind.observe import *\n"
        "log = get_logger('x'); log.info('low'); log.warning('w', a=1); metrics.sentences.add(3)\n"
        "print([m for m in ('structlog', 'rich', 'prometheus_client', 'yaml') if m in sys.modules])"
    )
    assert python(code) == ("[]\n", "w a=1\n")


def test_configuring_imports_structlog_only_to_write():
    code = (
        "import sys; from arrowmind.observe import *\n"
        "configure_logging('info'); get_logger('x').debug('low')\n"
        "print('structlog' in sys.modules); get_logger('x').info('high'); print('structlog' in sys.modules)"
    )
    assert python(code)[0] == "False\nTrue\n"
