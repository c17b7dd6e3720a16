"""What a forward is reckoned to need before there is one."""

from __future__ import annotations

import pytest
from tests.engine import decoders
from tests.reference import decoder

from arrowmind import _native
from arrowmind.config import GenerationSettings
from arrowmind.engine import opening
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.language import LanguageModel
from arrowmind.weights import convert_model

SEED = 101


@pytest.mark.parametrize("name", list(decoder.CONFIGS))
def test_scratch_is_not_more_than_was_reckoned(tmp_path, name):
    decoders.write_family(tmp_path / "hf", name, SEED)
    convert_model(tmp_path / "hf", tmp_path / "model")
    folder = ModelFolder(tmp_path / "model")
    language = LanguageModel(folder.decoder, folder.weights, 64, _native.ThreadPool(1))
    reckoned = {
        tokens: opening._scratch_bytes(
            folder.decoder, folder.weights, GenerationSettings(prefill_chunk=tokens, max_streams=4)
        )
        for tokens in (512, 2048)
    }
    for tokens, most in reckoned.items():
        assert tokens * language.scratch_bytes_per_token <= most
