"""The YAML file: what is read, and what hostile or broken files lead to."""

from __future__ import annotations

import os
import random
import string
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrowmind.config import Config, keys, load_config, read_config
from arrowmind.errors import ConfigurationError

NO_ENV = {"XDG_CONFIG_HOME": "/nowhere"}


@pytest.fixture
def yaml_file(tmp_path):
    def write(text):
        path = tmp_path / "settings.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def refused(path):
    with pytest.raises(ConfigurationError) as caught:
        load_config(path, NO_ENV)
    return str(caught.value)


def test_values_and_their_lines(yaml_file):
    path = yaml_file("# mine\ndevice:\n  threads: 3\nlog: {level: info}\nquantization:\n  keep: [a.b, c]\n")
    config = load_config(path, NO_ENV, strict=True)
    assert (config.device.threads, config.log.level, config.quantization.keep) == (3, "info", ("a.b", "c"))
    assert str(config.origin("device.threads")) == f"{path}:3"
    assert str(config.origin("log.format")) == "default"
    assert config.file == str(path)


def test_a_list_may_be_one_text_with_commas(yaml_file):
    config = load_config(yaml_file("quantization: {keep: 'a, b'}"), NO_ENV, strict=True)
    assert config.quantization.keep == ("a", "b")


@pytest.mark.parametrize("text", ["", "\n", "# only", "---\n", "null\n", "device:\n", "device: {name: }\n"])
def test_empty_means_defaults(yaml_file, text):
    assert load_config(yaml_file(text), NO_ENV, strict=True) == Config()


def test_text_stays_text(yaml_file):
    """YAML 1.1 reads no as false and 1e-3 as text; the wanted type decides instead."""
    config = load_config(yaml_file("model: {path: no}\nprecision: {cosine_min: 1e-3}"), NO_ENV, strict=True)
    assert config.model.path == "no"
    assert config.precision.cosine_min == 1e-3


def test_invalid_value_is_logged_and_the_default_used(yaml_file, caplog):
    config = load_config(yaml_file("device:\n  threads: many\n"), NO_ENV)
    assert config.device.threads == 0
    [message] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    for part in ("settings.yaml:2", "device.threads", "'many'", "whole number from 0 to 1024", "0 is used"):
        assert part in message


def test_strict_lists_every_problem(yaml_file):
    text = "device: {threads: many, nam: cpu}\nlog: {level: loud}\nmemroy: {path: x}\nmemory: 3\n"
    with pytest.raises(ConfigurationError) as caught:
        load_config(yaml_file(text), NO_ENV, strict=True)
    message = str(caught.value)
    for part in ("device.threads", "mean device.name", "debug, info", "mean memory", "memory is"):
        assert part in message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("- a\n- b\n", "is a sequence, but must be a mapping"),
        ("just text", "is a scalar"),
        ("device: [", "not valid YAML"),
        ("a: &x 1\n", ":1: anchors"),
        ("a: &x [1]\nb: *x\n", "anchors"),
        ("? [a]\n: 1\n", "a key in the file is a sequence"),
        ("log: {level: info}\nlog: {level: debug}\n", ":2: 'log' stands twice"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ("a: " + "[" * 5000, "nested deeper"),
        ("a: " + "{b: " * 5000, "nested deeper"),
        ("a: !!python/object/apply:os.system [x]\nb: {c: &z 1}", "anchors"),
        (b"a: \xff\xfe", "not UTF-8"),
        (b"a: \x00", "not valid YAML"),
        (b"#" * 70_000, "larger than 65536"),
    ],
)
def test_unusable_files(yaml_file, text, part):
    start = time.monotonic()
    assert part in refused(yaml_file(text))
    assert time.monotonic() - start < 5


def test_billion_laughs(yaml_file):
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40)]
    assert "anchors" in refused(yaml_file("\n".join(lines)))


def test_tags_construct_nothing(yaml_file):
    text = "model: {path: !!python/object/apply:os.mkdir [pwned]}\nlog: !!python/name:os.system {level: info}"
    config = read_config(yaml_file(text), NO_ENV)
    assert config.model.path == Config().model.path
    assert not Path("pwned").exists()


@pytest.mark.parametrize("name", ["missing.yaml", "", "a\0b", "x" * 5000])
def test_a_named_file_must_be_there(tmp_path, name):
    assert "configuration file" in refused(tmp_path / name)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "not a file" in refused(tmp_path / "pipe")


NAMES = [key.section for key in keys(Config).values()] + [key.name for key in keys(Config).values()]
ODD = ["cpu", "~", "yes", "!!int x", "*a", "&a", "0x", "0b_", "2024-99-99", ".nan", "-1", "1e999"]
SHAPES = ["{}: {}", "  {}: {}", "{}:\n  - {}", "{}: [{}]", "{}: {{a: {}}}", "{}{}"]
LEAVES = st.one_of(
    st.sampled_from(ODD),
    st.text(alphabet=string.printable + "\u2028\ufeff\x7f", max_size=12),
)


@st.composite
def documents(draw):
    lines = []
    for _ in range(draw(st.integers(0, 6))):
        name, leaf = draw(st.sampled_from(NAMES) | LEAVES), draw(LEAVES)
        lines.append(draw(st.sampled_from(SHAPES)).format(name, leaf))
    return "\n".join(lines)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(documents())
def test_random_yaml_gives_a_configuration_or_an_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "random.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        config = read_config(path, NO_ENV)
    except ConfigurationError as error:
        assert "random.yaml" in str(error)
    else:
        for name, value in config.items():
            assert keys(Config)[name].check(value) == value


def test_random_bytes_give_a_configuration_or_an_error(yaml_file):
    generator = random.Random(7)
    for _ in range(200):
        data = bytes(generator.randrange(256) for _ in range(generator.randrange(60)))
        path = yaml_file(data)
        try:
            read_config(path, NO_ENV)
        except ConfigurationError:
            continue
