"""`arrowmind bench gpu` on the cpu device: every width, checked; its targets, and what it refuses."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from tests.device.fake import BACKENDS, Fake, install
from tests.engine.writers import write_bytes_model
from tests.reference import folder

from arrowmind import _native
from arrowmind.bench.command import main
from arrowmind.bench.devices import choices, command, products, report, transfer
from arrowmind.bench.devices.matrices import WIDTHS
from arrowmind.errors import DeviceError, OptimizationError, StorageError
from arrowmind.weights import convert_model

SMALL = ["gpu", "--device", "cpu", "--shapes", "48x128", "--rows", "1,9"]


@pytest.fixture(autouse=True)
def short_rows(monkeypatch):
    monkeypatch.setattr(command, "VOCABULARIES", (300,))


def run(tmp_path, *more):
    out = tmp_path / "gpu.json"
    code = main([*SMALL, "--out", str(out), *more])
    return code, json.loads(out.read_text())


def test_every_width_is_measured_and_right(tmp_path, capsys):
    code, result = run(tmp_path)
    assert code == 0
    assert {one["width"] for one in result["products"]} == set(WIDTHS)
    assert len(result["products"]) == 2 * len(WIDTHS)
    for one in result["products"]:
        assert one["kernel"].startswith("linear_")
        assert one["operations_per_s"] == pytest.approx(2 * one["rows"] * 48 * 128 / one["seconds"])
        assert one["share"] == pytest.approx(one["bytes_per_s"] / result["limits"]["memory"])
    assert set(result["limits"]) == {"memory", "copy_in", "copy_out"}
    assert result["transfer"] == {}  # it shares the host's memory
    assert result["device"]["key"] == "cpu"
    printed = capsys.readouterr().out
    assert "9 x 48 x 128" in printed
    assert "linear_i8b_i4g" in printed
    assert "linear_f32_i4g" in printed
    floats = [width for width in WIDTHS if not width.endswith("-int8")]
    assert [(one["width"], one["precision"]) for one in result["absent"]] == [(w, "mixed") for w in floats]
    assert all("find kernel 'linear_bf16_" in one["why"] for one in result["absent"])
    assert "not there: int4, mixed: " in printed


def test_choices_are_measured_and_right(tmp_path, capsys, monkeypatch):
    monkeypatch.undo()
    _, result = run(tmp_path, "--widths", "int8")
    found = result["choices"]
    assert [(one["kernel"], one["rows"], one["vocabulary"]) for one in found] == [
        (kernel, rows, vocabulary)
        for vocabulary in choices.VOCABULARIES
        for rows in choices.ROWS
        for kernel in ("highest", "candidates")
    ]
    for one in found:
        assert one["bytes_per_s"] == pytest.approx(4 * one["rows"] * one["vocabulary"] / one["seconds"])
        assert one["share"] == pytest.approx(one["bytes_per_s"] / result["limits"]["memory"])
    assert "16 x 151936" in capsys.readouterr().out


@pytest.mark.parametrize("kernel", ["highest", "candidates"])
def test_a_wrong_choice_is_an_error(kernel):
    logits = np.random.default_rng(0).standard_normal((2, 3000)).astype(np.float32)
    count = 1 if kernel == "highest" else 256
    order = np.argsort(-logits, axis=1)[:, :count]
    values = np.take_along_axis(logits, order, axis=1).view(np.uint32)
    exact = np.exp((logits.astype(np.float64) - logits.max(axis=1, keepdims=True)) / 0.8).sum(axis=1)
    sums = exact.astype(np.float32).view(np.uint32)[:, np.newaxis]
    right = np.hstack([order, values, *([sums] if kernel == "candidates" else [])]).astype(np.uint32)
    choices._check(kernel, logits, right)
    for place in range(0, right.shape[1], 100):
        wrong = right.copy()
        wrong[1, place] ^= 1 << 22
        with pytest.raises(OptimizationError, match=f"{kernel}: the device chose other tokens"):
            choices._check(kernel, logits, wrong)


def test_a_device_without_the_kernels_says_so(capsys):
    why = "[cuda:0] this back end has no kernel highest"
    rows = [choices.Choice("highest", 1, 32_000, why=why).to_dict()]
    told = {"key": "cuda:0", "name": "a card", "driver": "", "is_software": True}
    result = {"device": told, "limits": {}, "products": [], "models": {}, "choices": rows}
    report.print_result(result, [])
    printed = " ".join(capsys.readouterr().out.split())
    assert f"not measured: {why}" in printed
    assert rows[0]["seconds"] is None


@pytest.mark.skipif(not (BACKENDS / "gpu_on_host.so").is_file(), reason="its kernels are not built")
def test_floats_in_either_precision_beside_codes(tmp_path):
    """On the kernels for GPUs, compiled for the host."""
    install("gpu_on_host", tmp_path)
    device = _native.DeviceRegistry(str(tmp_path)).open("cuda")
    found, absent = products.measure_products(device, [(16, 64)], [1, 9], ["int4", "int4-int8"], 1e9, 0)
    assert [(one.precision, one.rows, one.kernel) for one in found] == [
        ("float32", 1, "linear_f32_i4g_few"),
        ("mixed", 1, "linear_f32_i4g_few"),
        ("float32", 9, "linear_f32_i4g"),
        ("mixed", 9, "linear_bf16_i4g"),
        ("int8", 1, "linear_i8b_i4g_few"),
        ("int8", 9, "linear_i8b_i4g"),
    ]
    assert absent == []


def test_models_in_turn_with_the_cpu(tmp_path):
    convert_model(folder.write(tmp_path / "original", folder.weights()), tmp_path / "tiny")
    decoder = write_bytes_model(tmp_path / "decoder")
    few = ["--widths", "int8", "--rounds", "1", "--sentences", "3", "--tokens", "4"]
    _, result = run(tmp_path, *few, "--model", str(tmp_path / "tiny"), "--model", str(decoder))
    encoder, language = result["models"]["tiny"], result["models"]["decoder"]
    assert (encoder["unit"], language["unit"]) == ("sentences/s", "tokens/s")
    assert encoder["agreement"] == pytest.approx(1.0, abs=1e-6)
    assert language["agreement"] == 1.0


def test_a_wrong_answer_is_an_error():
    right = np.ones((2, 3), np.float32)
    products._check("int4", "linear_f32_i4g", right, right + 5e-4)
    products._check("int4", "linear_bf16_i4g_wide", right, right + 5e-3)
    for wrong in (right + 5e-3, right * np.nan):
        with pytest.raises(OptimizationError, match="linear_f32_i4g is wrong"):
            products._check("int4", "linear_f32_i4g", right, wrong)


def test_targets_are_for_cards():
    row = {"width": "int4", "rows": 1, "precision": "float32", "share": 0.8}
    card = {"device": {"is_software": False, "shares_host_memory": False}, "products": [row]}
    (verdict,) = report.judge(card)
    assert (verdict.what, verdict.reached, verdict.measured) == ("int4, 1 row", False, "80 %")
    mixed = {**row, "precision": "mixed", "share": 0.9}
    codes = {**row, "width": "int4-int8", "precision": "int8", "share": 0.7}
    told = [(one.what, one.reached) for one in report.judge({**card, "products": [row, mixed, codes]})]
    assert told == [("int4, mixed, 1 row", True), ("int4-int8, 1 row", False)]
    assert report.judge({**card, "device": {"is_software": True, "shares_host_memory": False}}) == []
    assert report.judge({**card, "device": {"is_software": False, "shares_host_memory": True}}) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shapes", "0x64"], "is not OUTPUTSxINPUTS"),
        (["--shapes", "16x60"], "multiple of 64"),
        (["--rows", "0"], "whole numbers from 1 on"),
        (["--widths", "int5"], r"\['int5'\] are unknown"),
    ],
)
def test_words_that_are_none(capsys, words, message):
    with pytest.raises(SystemExit):
        main(["gpu", *words])
    assert re.search(message, capsys.readouterr().err)


def test_a_device_that_is_not_there():
    with pytest.raises(DeviceError, match="device 'cpu:7' cannot be had"):
        main(["gpu", "--device", "cpu:7"])


def test_a_file_to_a_device_beside_disk_and_bus(tmp_path):
    fake = Fake(tmp_path)
    fake.set(rate=100_000_000)
    device = _native.DeviceRegistry(str(tmp_path)).open("cuda")
    found = transfer.measure_transfer(device, 8 << 20, tmp_path)
    assert found["bus"] == pytest.approx(1e8, rel=0.5)
    assert found["bus"] <= 1e8
    assert found["both"] <= 1e8
    assert 0.2 < found["share"] <= 1.3
    assert list(tmp_path.glob("arrowmind-transfer-*")) == []
    with pytest.raises(StorageError, match="to measure with"):
        transfer.measure_transfer(device, 1 << 20, tmp_path / "nowhere")


def test_the_target_of_a_file_to_a_device(capsys):
    rates = {"disk": 2e9, "bus": 25e9, "both": 1.8e9, "size": 1 << 30}
    told = {
        "key": "cuda:0",
        "name": "a card",
        "driver": "",
        "is_software": False,
        "shares_host_memory": False,
    }
    result = {"device": told, "limits": {}, "products": [], "models": {}}
    for share, reached in ((0.9, True), (0.84, False)):
        one = {**result, "transfer": {**rates, "share": share}}
        (verdict,) = report.judge(one)
        assert (verdict.what, verdict.reached) == ("file to device, overlapped", reached)
        report.print_result(one, [verdict])
    assert "1.80 GB/s; disk 2.00, bus 25.00: 84 % of the slower" in capsys.readouterr().out
