"""What a profile sets, and what wins over it."""

from __future__ import annotations

import dataclasses

import pytest

from arrowmind.config import (
    PROFILES,
    Config,
    GenerationSettings,
    keys,
    load_config,
    overridden,
    profile_values,
    with_profile,
)
from arrowmind.errors import ConfigurationError

NO_ENV = {"XDG_CONFIG_HOME": "/nowhere"}


def test_profiles_tell_of_the_same_keys():
    assert {tuple(profile_values(name)) for name in PROFILES} == {tuple(profile_values("balanced"))}
    for key, value in profile_values("balanced").items():
        assert value == keys(Config)[key].default
    for name in PROFILES:
        for key, value in profile_values(name).items():
            assert keys(Config)[key].check(value) == value
    assert profile_values("low_latency") != profile_values("high_throughput") != profile_values("balanced")


def test_a_profile_gives_values_to_what_is_not_set(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("residency: {profile: high_throughput, ahead: 2}\ngeneration: {max_streams: 7}\n")
    config = load_config(file, NO_ENV, strict=True)
    assert config.residency.ahead == 2  # the default, but set
    assert config.generation.max_streams == 7
    assert config.generation.prefill_chunk == profile_values("high_throughput")["generation.prefill_chunk"]
    assert str(config.origin("generation.prefill_chunk")) == "profile high_throughput"
    assert config.origin("generation.max_streams").kind == "file"


def test_another_profile_takes_the_place_of_the_first():
    first = load_config(None, {**NO_ENV, "ARROWMIND_RESIDENCY_PROFILE": "low_latency"}, strict=True)
    assert first.generation.max_streams == 4
    second = with_profile(first, "high_throughput")
    assert second.residency.profile == "high_throughput"
    assert {key: second.get(key) for key in profile_values("high_throughput")} == profile_values(
        "high_throughput"
    )
    third = with_profile(second, "balanced")
    assert third.generation == GenerationSettings()
    assert third.origin("generation.max_streams").kind == "default"
    assert with_profile(second) == second


def test_what_a_program_sets_wins():
    generation = dataclasses.replace(Config().generation, max_streams=3)
    config = with_profile(dataclasses.replace(Config(), generation=generation), "high_throughput")
    assert config.generation.max_streams == 3
    assert config.generation.prompt_tokens == 2048
    kept = with_profile(overridden(Config(), {"residency.ahead": 2}), "low_latency")
    assert kept.residency.ahead == 2


def test_an_unknown_profile_names_the_known_ones():
    with pytest.raises(ConfigurationError, match="low_latency, balanced, high_throughput"):
        with_profile(Config(), "fast")
    with pytest.raises(ConfigurationError, match=r"residency\.profile"):
        load_config(None, NO_ENV, strict=True, overrides={"residency.profile": "fast"})
