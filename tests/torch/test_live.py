"""An engine that follows a channel; without torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from tests.reference import folder

from arrowmind import ArrowEngine
from arrowmind.errors import IntegrityError, WeightError
from arrowmind.torch.channel import Publisher
from arrowmind.torch.live import LiveEngine
from arrowmind.weights import convert_model

TEXTS = ["a b c", "b", "c a a b"]
MATRIX = "encoder.layer.0.intermediate.dense.weight"
TABLE = "embeddings.word_embeddings.weight"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("live")
    convert_model(folder.write(path / "hf", folder.weights()), path / "model")
    return path / "model"


def of_new_weights(path, weights):
    convert_model(folder.write(path / "hf", weights), path / "model")
    return ArrowEngine(path / "model").encode(TEXTS)


@pytest.mark.parametrize("packed", [False, True])
def test_published_weights_take_the_place_of_those_of_the_folder(model, tmp_path, packed):
    engine = LiveEngine(model, tmp_path / "run", threads=1)
    base = ArrowEngine(model)
    np.testing.assert_array_equal(engine.encode(TEXTS), base.encode(TEXTS))
    assert (engine.generation, engine.fingerprint) == (0, base.fingerprint)
    newer = folder.weights(seed=12)
    prints = {engine.fingerprint}
    with Publisher(tmp_path / "run") as publisher:
        assert not engine.refresh()
        for names in ({MATRIX, TABLE}, set(newer)):
            publisher.weights({name: newer[name] for name in names}, packed=packed)
            assert engine.refresh()
            assert not engine.refresh()
            prints.add(engine.fingerprint)
            wanted = {**folder.weights(), **{name: newer[name] for name in names}}
            expected = of_new_weights(tmp_path / str(len(names)), wanted)
            np.testing.assert_array_equal(engine.encode(TEXTS), expected)
    assert engine.generation == 2
    assert len(prints) == 3
    np.testing.assert_array_equal(LiveEngine(model, tmp_path / "run").encode(TEXTS), expected)


def test_weights_that_do_not_fit_leave_the_engine_as_it_is(model, tmp_path):
    engine = LiveEngine(model, tmp_path / "run")
    before = engine.encode(TEXTS)
    with Publisher(tmp_path / "run") as publisher:
        publisher.weights({"nothing": np.ones(3, np.float32)})
        with pytest.raises(WeightError, match="has no tensor 'nothing'"):
            engine.refresh()
        publisher.weights({MATRIX: np.ones((3, 3), np.float32)})
        with pytest.raises(WeightError, match=r"has shape \[3, 3\]; the model has"):
            engine.refresh()
        publisher.weights({MATRIX: folder.weights()[MATRIX] * 0})
        path = publisher.folder / "weights.arrow"
        path.write_bytes(path.read_bytes()[:5000])
        with pytest.raises(IntegrityError):
            engine.refresh()
    assert engine.generation == 0
    np.testing.assert_array_equal(engine.encode(TEXTS), before)


def test_neither_torch_nor_pyarrow(model, tmp_path):
    code = (
        "import sys\n"
        "from arrowmind.torch import LiveEngine\n"
        f"LiveEngine({str(model)!r}, {str(tmp_path / 'run')!r}).encode(['a'])\n"
        "print([name for name in ('torch', 'pyarrow', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
