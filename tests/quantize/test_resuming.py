"""Long work that is cut short goes on from what it kept, and comes to the same bits."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest
from tests.reference import folder

from arrowmind.engine.moments import MomentObserver
from arrowmind.engine.quantizing import ArrowQuantizer, QuantizationConfig
from arrowmind.errors import QuantizationError
from arrowmind.observe import no_progress
from arrowmind.quantize.checkpoint import Kept, load_arrays, save_arrays, work_key
from arrowmind.quantize.matrix.codes import codes_of
from arrowmind.quantize.matrix.feedback import round_plainly
from arrowmind.quantize.methods import ptq
from arrowmind.quantize.methods.base import Input, Job
from arrowmind.quantize.state import kept_state, state_folder
from arrowmind.weights import convert_model, open_weights
from arrowmind.weights.formats import Grid

TEXTS = ["the cat sat on the mat.", "a dog", "the dog ran far away, and back!", "cat dog mat the a back far"]
LOW = {"cosine_mean": -1.0, "cosine_min": -1.0, "overlap_at_10": 0.0}
METHODS = {
    "gptq": {"quant_type": "int4", "group_size": 16, "calibration": "gptq"},
    "budget": {"quant_type": "int4", "calibration": "gptq", "bits_budget": 6.0},
    "ptq": {"quant_type": "int4", "group_size": 16, "calibration": "ptq"},
    "distill": {"quant_type": "int2", "group_size": 16, "calibration": "distill", "steps": 12},
    "budget and distill": {"quant_type": "int2", "calibration": "distill", "steps": 8, "bits_budget": 6.0},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("resuming")
    convert_model(folder.write(path / "original", folder.weights()), path / "tiny")
    return path / "tiny"


def quantise(model, output, name, progress=no_progress):
    config = QuantizationConfig(**LOW, **METHODS[name], seed=3)
    quantizer = ArrowQuantizer(config, calibrator=MomentObserver, calibration_texts=TEXTS)
    return quantizer.quantize(model, output, progress=progress)


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    """The fingerprint of each method's result in one go."""
    found = {}

    def fingerprint(name):
        if name not in found:
            if "distill" in name:
                pytest.importorskip("torch")
            found[name] = quantise(model, tmp_path_factory.mktemp("whole") / "out", name).candidate
        return found[name]

    return fingerprint


@pytest.mark.parametrize(
    ("name", "stage", "part"),
    [
        ("gptq", "calibrating", 0.5),
        ("gptq", "gptq", 0.6),
        ("ptq", "ptq", 0.5),
        ("budget", "measuring", 0.5),
        ("budget", "calibrating", 0.6),
        ("budget", "gptq", 0.5),
        ("distill", "distilling", 0.5),
        ("budget and distill", "gptq", 0.5),
    ],
)
def test_what_was_interrupted_goes_on_to_the_same_bits(name, stage, part, model, whole, tmp_path):
    wanted = whole(name)

    def interrupt(done, total, what):
        if what == stage and total and done >= part * total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantise(model, tmp_path / "out", name, interrupt)
    assert [path.name for path in tmp_path.iterdir()] == [state_folder(tmp_path / "out").name]
    assert quantise(model, tmp_path / "out", name).candidate == wanted
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


KILLED = """
import os, signal, sys
from tests.quantize.test_resuming import quantise
def kill(done, total, what):
    if what == sys.argv[4] and total and 2 * done >= total:
        os.kill(os.getpid(), signal.SIGKILL)
quantise(sys.argv[1], sys.argv[2], sys.argv[3], kill)
"""


@pytest.mark.parametrize(("name", "stage"), [("gptq", "gptq"), ("budget", "measuring")])
def test_what_was_killed_goes_on_to_the_same_bits(name, stage, model, whole, tmp_path):
    output = tmp_path / "out"
    words = [sys.executable, "-c", KILLED, str(model), str(output), name, stage]
    ended = subprocess.run(words, check=False, capture_output=True, text=True, timeout=100)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not output.exists()
    kept = {path.name: path.stat().st_mtime_ns for path in state_folder(output).glob("*.npz")}
    assert kept

    def untouched(done, total, what):
        for part, modified in kept.items():
            assert (state_folder(output) / part).stat().st_mtime_ns == modified

    assert quantise(model, output, name, untouched).candidate == whole(name)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_other_choices_do_not_go_on_from_it(model, tmp_path, whole):
    def interrupt(done, total, what):
        if what == "gptq" and done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantise(model, tmp_path / "out", "gptq", interrupt)
    config = QuantizationConfig(**LOW, **METHODS["gptq"], damping=0.3, seed=3)
    other = ArrowQuantizer(config, calibrator=MomentObserver, calibration_texts=TEXTS)
    assert other.quantize(model, tmp_path / "out").candidate != whole("gptq")


def test_ptq_keeps_what_takes_long(model, tmp_path, monkeypatch):
    clock = iter(range(0, 10**6, 30))
    monkeypatch.setattr(ptq.time, "monotonic", lambda: next(clock))
    config = QuantizationConfig(quant_type="int4", group_size=16)
    with open_weights(model) as weights:
        names = [name for name in weights.names() if name.endswith("dense.weight")][:4]
        job = Job(weights, config, dict.fromkeys(names, config.grid), state=tmp_path)
        ptq.run(job)
        assert len(list(tmp_path.glob("ptq-*.npz"))) == 4
        monkeypatch.setattr(ptq, "round_alone", None)  # nothing is left to round
        assert set(ptq.run(job).codes) == set(names)


def test_checkpoints_are_of_one_work(tmp_path):
    path = tmp_path / "a.npz"
    save_arrays(path, "key", 7, {"x": np.arange(3)})
    step, arrays = load_arrays(path, "key")
    assert step == 7
    assert arrays["x"].tolist() == [0, 1, 2]
    assert load_arrays(path, "other") is None
    assert load_arrays(tmp_path / "none.npz", "key") is None
    path.write_bytes(path.read_bytes()[:100])
    assert load_arrays(path, "key") is None


@pytest.mark.parametrize("grid", [Grid("int2", 16, "u8", zero_points=True), Grid("int8", 0, "fp32")], ids=str)
def test_codes_are_kept_as_they_are(grid, tmp_path, rng):
    columns = rng.standard_normal((32, 6)).astype(np.float32)
    made = codes_of(round_plainly(columns, grid, np.ones(32, np.float32)))
    Kept(tmp_path, "key").save_codes("part", {"a.weight": made})
    assert Kept(tmp_path, "other").load_codes("part", {"a.weight": grid}) is None
    found = Kept(tmp_path, "key").load_codes("part", {"a.weight": grid})["a.weight"]
    assert type(found) is type(made)
    np.testing.assert_array_equal(found.values(), made.values())
    Kept(None, "key").save_codes("part", {"a.weight": made})
    assert Kept(None, "key").load_codes("part", {"a.weight": grid}) is None


def test_keys_tell_works_apart_but_not_thresholds(model):
    with open_weights(model) as weights:

        def key(texts="", of=(), grids=None, inputs=None, **options):
            config = QuantizationConfig(**options)
            return work_key(Job(weights, config, grids or {}, inputs or {}, calibration_sha256=texts), *of)

        plain = key()
        assert key(cosine_mean=0.5) == plain
        others = [
            key(seed=1),
            key("ab"),
            key(of=("gptq",)),
            key(grids={"a": Grid("int4", 32, "fp16")}),
            key(damping=0.5),
            key(inputs={"a": Input(None, np.ones(2, np.float32))}),
            key(inputs={"a": Input(np.ones(2, np.float32), np.ones(2, np.float32))}),
        ]
    assert len({plain, *others}) == len(others) + 1


def test_state_stays_when_work_is_cut_short(tmp_path):
    output = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt), kept_state(output) as state:
        (state / "x").write_text("x")
        with pytest.raises(QuantizationError, match="another process"), kept_state(output):
            pass
        raise KeyboardInterrupt
    assert (state_folder(output) / "x").exists()
    with kept_state(output):
        pass
    assert list(tmp_path.iterdir()) == []
