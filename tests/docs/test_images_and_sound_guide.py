"""The examples of the guide to images and sound do what it says, with random weights of fewer layers."""

from __future__ import annotations

import contextlib
import io
import shlex

import numpy as np
import pytest
from tests.docs.pages import blocks
from tests.reference import senses

from arrowmind.cli.main import run

PAGE = "docs/guide/images-and-sound.md"
Image = pytest.importorskip("PIL.Image", reason="pip install 'arrowmind[media]'")
CLIP = {
    **senses.CLIP,
    "projection_dim": 512,
    "text_config": {**senses.CLIP["text_config"], "max_position_embeddings": 77, "num_hidden_layers": 1},
    "vision_config": {**senses.CLIP["vision_config"], "num_hidden_layers": 1},
}
WHISPER = {
    **senses.WHISPER,
    "d_model": 384,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "max_target_positions": 64,
    "max_source_positions": 1500,
}


def write_files(place):
    rng = np.random.default_rng(0)
    for name in ("cat.png", "dog.jpg"):
        Image.fromarray(rng.integers(0, 256, (60, 70, 3)).astype(np.uint8)).save(place / name)
    for name in ("speech.wav", "rain.wav"):
        samples = rng.normal(0, 3000, 16000).astype("<i2").tobytes()
        senses.write_wave(place / name, samples)
    clip = senses.clip_weights(CLIP, 1)
    senses.write(place / "clip-vit-base-patch32", CLIP, clip, senses.clip_tokens())
    whisper = senses.whisper_weights(WHISPER, 1)
    senses.write(place / "whisper-tiny", WHISPER, whisper, senses.whisper_tokens())


def test_the_guide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    names, printed, ran = {}, "", 0
    for kind, body in blocks(PAGE):
        if kind == "python":
            assert printed == "", "the output of a block is not shown"
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(body, PAGE, "exec"), names)
            printed = out.getvalue()
        elif kind == "output":
            assert printed == body
            printed, ran = "", ran + 1
        else:
            for line in body.splitlines():
                name, *words = shlex.split(line)
                assert name == "arrowmind"
                assert run(words) == 0, line
    assert ran == 3
