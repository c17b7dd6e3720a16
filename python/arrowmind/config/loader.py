"""Puts the sources together: defaults < YAML file < environment < arguments."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.config.keys import Key, Origin, Problem, keys
from arrowmind.config.profiles import with_profile
from arrowmind.config.settings import Config
from arrowmind.config.sources import PREFIX, RawValue, expand, read_environment, read_file
from arrowmind.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["apply_native", "find_config_file", "load_config", "read_config", "report_problems"]

_FILE_VARIABLE = "ARROWMIND_CONFIG"
_log = logging.getLogger("arrowmind.config")


def load_config(
    path: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    *,
    strict: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Reads the configuration; logs what is wrong with it, or refuses it.

    Args:
        path: YAML file; None looks for one (`find_config_file`). A named file must be there.
        env: Environment; None is that of the process.
        strict: Refuse any problem instead of logging it and using the default.
        overrides: Values by full key name; they win over everything.

    Raises:
        ConfigurationError: the file cannot be read; or an override or a value that no default may replace
            is invalid; or `strict` and there is any problem. The message lists all problems.
    """
    config = read_config(path, env, overrides=overrides)
    report_problems(config, strict=strict)
    return config


def report_problems(config: Config, *, strict: bool = False) -> None:
    """Logs the problems of a configuration, or raises them.

    Raises:
        ConfigurationError: `strict` and there is any problem, or one that no default may replace.
    """
    refused = [problem for problem in config.problems if strict or problem.refused]
    if refused:
        raise ConfigurationError("; ".join(str(problem) for problem in refused))
    for problem in config.problems:
        _log.error("%s", problem, extra={"fields": {"key": problem.key, "origin": str(problem.origin)}})


def read_config(
    path: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Like `load_config`, but leaves the problems in `Config.problems` for the caller.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    env = os.environ if env is None else env
    merge = _Merge()
    file = expand(str(path)) if path is not None else find_config_file(env)
    if file is not None:
        merge.add_file(read_file(file))
    merge.add_environment(read_environment(env))
    merge.add_overrides(overrides or {})
    return merge.config(str(file or ""))


def find_config_file(env: Mapping[str, str]) -> Path | None:
    """The file that applies when none is named: $ARROWMIND_CONFIG, ./arrowmind.yaml, the user's own.

    The first that is there; $ARROWMIND_CONFIG counts as named and is returned even if it is not there.
    """
    if env.get(_FILE_VARIABLE):
        return expand(env[_FILE_VARIABLE])
    home = expand(env.get("XDG_CONFIG_HOME") or "~/.config")
    for candidate in (Path("arrowmind.yaml"), home / "arrowmind" / "config.yaml"):
        try:
            if candidate.is_file():
                return candidate
        except OSError:
            continue
    return None


def apply_native(config: Config) -> None:
    """Hands `device.max_isa` and `device.kernel` to the native core, which reads the environment.

    Not to be called beside running kernels.
    """
    changed = False
    for name in ("device.max_isa", "device.kernel"):
        value, variable = config.get(name), keys(Config)[name].env
        if value and os.environ.get(variable) != value:
            os.environ[variable] = value
            changed = True
    native = sys.modules.get("arrowmind._native")
    if changed and native is not None:
        native.reload_environment()


class _Merge:
    """Values in order of precedence; what is invalid becomes a problem and leaves the value below it."""

    def __init__(self) -> None:
        self.keys = keys(Config)
        self.by_variable = {key.env: key for key in self.keys.values()}
        self.values: dict[str, Any] = {}
        self.origins: dict[str, Origin] = {}
        self.problems: list[Problem] = []

    def add_file(self, raws: Iterable[RawValue]) -> None:
        for raw in raws:
            key = self.keys.get(raw.key)
            if key is not None:
                self._set(key, raw)
            elif raw.usable or raw.key not in self._sections():
                self._unknown(raw, self._file_candidates(raw.key))
            else:
                self._problem(raw.key, raw.origin, f"{raw.key} is {raw.value}, but must be a mapping of keys")

    def add_environment(self, raws: Iterable[RawValue]) -> None:
        for raw in raws:
            key = self.by_variable.get(raw.key)
            if key is not None:
                self._set(key, raw)
            elif self._meant_for_us(raw.key):
                self._unknown(raw, self.by_variable)

    def add_overrides(self, overrides: Mapping[str, Any]) -> None:
        for name, value in overrides.items():
            key, origin = self.keys.get(name), Origin("argument")
            if key is None:
                self._problem(name, origin, _unknown_text(name, self.keys), refused=True)
                continue
            try:
                self._accept(key, key.parse(value) if isinstance(value, str) else key.check(value), origin)
            except ValueError as error:
                self._problem(name, origin, str(error), refused=True)

    def config(self, file: str) -> Config:
        config = Config(origins=self.origins, problems=tuple(self.problems), file=file)
        sections: dict[str, dict[str, Any]] = {}
        for name, value in self.values.items():
            section, _, key = name.partition(".")
            sections.setdefault(section, {})[key] = value
        changed = {name: replace(getattr(config, name), **values) for name, values in sections.items()}
        return with_profile(replace(config, **changed))

    def _set(self, key: Key, raw: RawValue) -> None:
        try:
            if raw.value is None:
                return
            if not raw.usable:
                raise ValueError(f"{key.path} is {raw.value}, not {key.allowed}")
            value = key.parse(raw.value) if isinstance(raw.value, str) else key.check(raw.value)
            self._accept(key, value, raw.origin)
        except ValueError as error:
            used = self.values.get(key.path, key.default)
            instead = "" if key.refuse else f"; {used!r} is used instead"
            self._problem(key.path, raw.origin, f"{error}{instead}", refused=key.refuse)

    def _accept(self, key: Key, value: Any, origin: Origin) -> None:
        self.values[key.path] = value
        self.origins[key.path] = origin

    def _unknown(self, raw: RawValue, candidates: Iterable[str]) -> None:
        self._problem(raw.key, raw.origin, _unknown_text(raw.key, candidates))

    def _problem(self, key: str, origin: Origin, message: str, *, refused: bool = False) -> None:
        self.problems.append(Problem(key, origin, message, refused))

    def _sections(self) -> set[str]:
        return {key.section for key in self.keys.values()}

    def _file_candidates(self, name: str) -> Iterable[str]:
        return self.keys if "." in name else self._sections()

    def _meant_for_us(self, variable: str) -> bool:
        """True for ARROWMIND_<SECTION>_..., and for what is nearly a known name; others may be anybody's."""
        if variable == _FILE_VARIABLE:
            return False
        sections = tuple(f"{PREFIX}{section.upper()}_" for section in self._sections())
        return variable.startswith(sections) or bool(_near(variable, self.by_variable))


def _near(name: str, candidates: Iterable[str], cutoff: float = 0.8) -> list[str]:
    import difflib  # noqa: PLC0415  needed only where something is wrong

    return difflib.get_close_matches(name, sorted(candidates), n=1, cutoff=cutoff)


def _unknown_text(name: str, candidates: Iterable[str]) -> str:
    near = _near(name, candidates, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else "`arrowmind config show` lists the keys"
    shown = name if len(name) <= 80 else f"{name[:80]}..."
    return f"unknown key {shown!r}; {hint}"
