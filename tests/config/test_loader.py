"""Precedence, the environment, arguments, and the file that is found. New keys need no edit here."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from arrowmind.config import Config, apply_native, find_config_file, keys, load_config, read_config
from arrowmind.errors import ConfigurationError

KEYS = keys(Config)
NO_ENV = {"XDG_CONFIG_HOME": "/nowhere"}


def other_value(key):
    """A valid value that is not the default, as (text, value)."""
    if key.is_list:
        items = key.choices[:1] or ("first", "second")
        return ",".join(items), tuple(items)
    if key.type_name == "bool":
        return str(not key.default).lower(), not key.default
    if key.type_name in ("int", "float"):
        value = next(v for v in (key.low, key.high) if v is not None and v != key.default)
        value = int(value) if key.type_name == "int" else float(value)
        return str(value), value
    text = next((choice for choice in key.choices if choice not in ("", key.default)), key.default)
    text = text if key.choices else "something"
    return text, text


def has_other(key):
    return other_value(key)[1] != key.default


def bad_text(key):
    return {"bool": "perhaps", "int": "3.5", "float": "nan"}.get(key.type_name, "\x07")


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_every_key_obeys_environment_file_and_argument(key, tmp_path):
    text, value = other_value(key)
    name = f"{key.section}: {{{key.name}: {text if not key.is_list else f'[{text}]'}}}"
    file = tmp_path / "settings.yaml"
    file.write_text(name)
    from_file = load_config(file, NO_ENV, strict=True)
    from_env = load_config(None, {**NO_ENV, key.env: text}, strict=True)
    from_argument = load_config(None, NO_ENV, strict=True, overrides={key.path: value})
    for config, kind in ((from_file, "file"), (from_env, "environment"), (from_argument, "argument")):
        assert config.get(key.path) == value
        assert config.origin(key.path).kind == kind
    assert str(from_env.origin(key.path)) == key.env


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_every_key_refuses_what_it_cannot_hold(key):
    config = read_config(None, {**NO_ENV, key.env: bad_text(key)})
    [problem] = config.problems
    assert key.path in problem.message
    assert key.env in str(problem)
    assert config.get(key.path) == key.default
    with pytest.raises(ConfigurationError, match=key.env):
        load_config(None, {**NO_ENV, key.env: bad_text(key)}, strict=True)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_every_default_is_a_valid_value(key):
    assert key.check(key.default) == key.default
    assert key.doc.endswith(".")


def test_order_of_precedence(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("device: {threads: 2}")
    env = {**NO_ENV, "ARROWMIND_DEVICE_THREADS": "3"}
    assert load_config(file, NO_ENV).device.threads == 2
    assert load_config(file, env).device.threads == 3
    assert load_config(file, env, overrides={"device.threads": 4}).device.threads == 4


def test_an_invalid_value_leaves_the_one_below_it(tmp_path, caplog):
    file = tmp_path / "settings.yaml"
    file.write_text("device: {threads: 2}")
    assert load_config(file, {**NO_ENV, "ARROWMIND_DEVICE_THREADS": "x"}).device.threads == 2
    assert "2 is used instead" in caplog.text


def test_an_empty_variable_is_unset():
    assert load_config(None, {**NO_ENV, "ARROWMIND_DEVICE_THREADS": ""}, strict=True) == Config()


@pytest.mark.parametrize("value", ["x", 1.5, True, None, [1], -1, 10**400])
def test_an_invalid_argument_is_refused(value):
    with pytest.raises(ConfigurationError, match=r"argument: device\.threads"):
        load_config(None, NO_ENV, overrides={"device.threads": value})


def test_an_unknown_argument_is_refused():
    with pytest.raises(ConfigurationError, match=r"did you mean device\.threads"):
        load_config(None, NO_ENV, overrides={"device.thread": 1})


@pytest.mark.parametrize("variable", ["ARROWMIND_MAX_ISA", "ARROWMIND_KERNEL"])
def test_what_the_native_core_refuses_is_refused_here(variable):
    with pytest.raises(ConfigurationError, match=variable):
        load_config(None, {**NO_ENV, variable: "\x01"})


def test_unknown_variables(caplog):
    env = {**NO_ENV, "ARROWMIND_DEVICE_THREAD": "1", "ARROWMIND_MAXISA": "avx2", "ARROWMIND_TEST_DATA": "x"}
    load_config(None, env)
    assert "did you mean ARROWMIND_DEVICE_THREADS" in caplog.text
    assert "did you mean ARROWMIND_MAX_ISA" in caplog.text
    assert "TEST_DATA" not in caplog.text


def test_which_file_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = {"XDG_CONFIG_HOME": str(tmp_path / "home")}
    assert find_config_file(env) is None
    own = tmp_path / "home" / "arrowmind" / "config.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("device: {threads: 5}")
    assert find_config_file(env) == own
    (tmp_path / "arrowmind.yaml").write_text("device: {threads: 6}")
    assert load_config(None, env).device.threads == 6
    named = {**env, "ARROWMIND_CONFIG": str(own)}
    assert load_config(None, named).device.threads == 5
    with pytest.raises(ConfigurationError, match="not there"):
        load_config(None, {**env, "ARROWMIND_CONFIG": str(tmp_path / "none.yaml")})


def test_get_and_origin_refuse_unknown_keys():
    for name in ("device", "device.nothing", "origins", "", "device.threads.x"):
        with pytest.raises(KeyError):
            Config().get(name)
        with pytest.raises(KeyError):
            Config().origin(name)


def test_apply_native_sets_what_the_core_reads(monkeypatch):
    monkeypatch.setenv("ARROWMIND_MAX_ISA", "")
    config = load_config(None, NO_ENV, overrides={"device.max_isa": "scalar"})
    apply_native(config)
    assert os.environ["ARROWMIND_MAX_ISA"] == "scalar"
    monkeypatch.setenv("ARROWMIND_MAX_ISA", "")
    native = sys.modules.get("arrowmind._native")
    if native is not None:
        native.reload_environment()


def test_reading_no_file_imports_no_yaml():
    code = (
        "import sys, arrowmind.config as config; config.load_config(None, {'XDG_CONFIG_HOME': '/x'})\n"
        "print('yaml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("value", ["cuda:0", "cpu:12", "mps", "auto"])
def test_a_device_may_have_a_number(value):
    assert load_config(None, NO_ENV, overrides={"device.name": value}).device.name == value


@pytest.mark.parametrize("value", ["cuda:", "cuda:x", "auto:1", "arm:0", "cuda:12345", "cuda:-1", "gpu:0"])
def test_a_device_without_a_good_number(value):
    with pytest.raises(ConfigurationError, match=r"also with a number, such as cuda:1"):
        load_config(None, NO_ENV, overrides={"device.name": value})
