"""Linear layers of models, replaced."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from arrowmind.errors import InvalidArgumentError  # noqa: E402
from arrowmind.quantize import QuantizationConfig  # noqa: E402
from arrowmind.torch import QuantizedLinear, replace_linears  # noqa: E402
from arrowmind.weights.formats import Grid  # noqa: E402

pytestmark = pytest.mark.torch

INT4 = QuantizationConfig(quant_type="int4")


@pytest.fixture
def bert(seed):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=90,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=40,
    )
    return transformers.BertModel(config).eval()


def tokens(seed=3, rows=4):
    generator = torch.Generator().manual_seed(seed)
    return {"input_ids": torch.randint(0, 90, (rows, 12), generator=generator)}


def cosine(a, b):
    return float(torch.nn.functional.cosine_similarity(a.flatten(1), b.flatten(1)).min())


def embed(model, inputs):
    with torch.no_grad():
        return model(**inputs).last_hidden_state


def test_a_hugging_face_model(bert):
    wanted = embed(bert, tokens())
    done = replace_linears(bert, QuantizationConfig(), skip=["pooler*"])
    assert len(done.layers) == 12
    assert done.skipped == {"pooler.dense": "asked for"}
    assert isinstance(bert.encoder.layer[1].intermediate.dense, QuantizedLinear)
    assert cosine(embed(bert, tokens()), wanted) > 0.9999
    first = done.layers[0]
    assert (first.name, first.shape) == ("encoder.layer.0.attention.self.query", (64, 64))
    assert (first.bytes_before, first.bytes_after) == (4 * 64 * 64, 64 * 64 + 3 * 4 * 64)
    assert 0.001 < first.error < 0.01
    assert done.bytes_saved == sum(layer.bytes_before - layer.bytes_after for layer in done.layers)
    assert str(done).startswith("12 linear layers replaced, 1 skipped; ")


def test_calibration_loses_less(bert):
    import copy

    inputs = tokens(rows=64)
    wanted = embed(bert, tokens(9))

    def loss(method, calibration):
        model = copy.deepcopy(bert)
        config = QuantizationConfig(quant_type="int2", calibration=method)
        replace_linears(model, config, calibration=calibration)
        return 1 - cosine(embed(model, tokens(9)), wanted)

    assert loss("gptq", [inputs]) < 0.7 * loss("ptq", None)
    assert loss("ptq", [inputs]) < 1.05 * loss("ptq", None)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(30, 16)
        self.first = torch.nn.Linear(16, 24)
        self.again = self.first
        self.unused = torch.nn.Linear(16, 16)
        self.attention = torch.nn.MultiheadAttention(24, 2, batch_first=True)
        self.head = torch.nn.Linear(24, 30, bias=False)
        self.tied = torch.nn.Linear(16, 30, bias=False)
        self.tied.weight = self.table.weight

    def forward(self, ids):
        x = self.again(self.table(ids))
        x, _ = self.attention(x, x, x)
        return self.head(x)


def test_layers_that_share_or_are_used_otherwise(seed):
    torch.manual_seed(seed)
    model = Model().train()
    ids = torch.arange(12).reshape(2, 6)
    wanted = model(ids)
    done = replace_linears(model, calibration=[ids, (ids,)])
    assert [layer.name for layer in done.layers] == ["first", "unused", "head"]
    assert model.first is model.again
    assert done.skipped["tied"] == "another module uses its matrix"
    assert "NonDynamicallyQuantizableLinear" in done.skipped["attention.out_proj"]
    assert model.training
    assert model.first.training
    torch.testing.assert_close(model(ids), wanted, rtol=0, atol=0.05)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_second_time_there_is_nothing_left(bert):
    replace_linears(bert, INT4)
    assert replace_linears(bert, INT4).layers == ()


def test_a_replaced_model_keeps_its_state(bert, tmp_path):
    replace_linears(bert, INT4)
    wanted = embed(bert, tokens())
    torch.save(bert.state_dict(), tmp_path / "state.pt")
    other = type(bert)(bert.config).eval()
    replace_linears(other, INT4)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(embed(other, tokens()), wanted)


def test_after_an_error_the_model_is_what_it_was(bert):
    with torch.no_grad():
        bert.pooler.dense.weight[0, 0] = float("inf")
    with pytest.raises(InvalidArgumentError, match="NaN or infinity"):
        replace_linears(bert, Grid("int4", 32, "fp16"))
    assert not any(isinstance(module, QuantizedLinear) for module in bert.modules())


def test_choices_that_cannot_be_served(bert):
    with pytest.raises(InvalidArgumentError, match="calibration inputs"):
        replace_linears(bert, QuantizationConfig(quant_type="int4", calibration="gptq"))
    with pytest.raises(InvalidArgumentError, match="budgets are for whole models"):
        replace_linears(bert, QuantizationConfig(quant_type="int4", bits_budget=3.0))
    with pytest.raises(InvalidArgumentError, match="one string"):
        replace_linears(bert, skip="pooler")
    with pytest.raises(InvalidArgumentError, match="from_linear"):
        replace_linears(torch.nn.Linear(3, 3))


def test_the_choices_name_layers_to_keep(bert):
    done = replace_linears(bert, QuantizationConfig(keep=("encoder.layer.1.*", "pooler.dense")))
    assert len(done.layers) == 6
    assert set(done.skipped.values()) == {"asked for"}
