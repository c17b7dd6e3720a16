"""CLIP and Whisper at their real shapes against the reference implementation, where it is installed.

Weights are random: of the reference's own kind of start, biases and norms moved so that they count.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from tests.reference import senses

from arrowmind import ArrowEngine, ArrowQuantizer
from arrowmind.media import log_mel, open_image, prepare_image
from arrowmind.weights import convert_model

torch = pytest.importorskip("torch", reason="torch is not installed: compared with NumPy alone")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("PIL.Image", reason="pip install 'arrowmind[media]'")

SEED = 29
WHISPER_TINY = {
    "d_model": 384,
    "encoder_layers": 4,
    "encoder_attention_heads": 6,
    "encoder_ffn_dim": 1536,
    "decoder_layers": 4,
    "decoder_attention_heads": 6,
    "decoder_ffn_dim": 1536,
    "num_mel_bins": 80,
    "max_source_positions": 1500,
    "max_target_positions": 448,
    "vocab_size": 51865,
}
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def saved(model, folder, tokens):
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for values in model.parameters():
            if values.ndim == 1:
                values.add_(0.05 * torch.randn(values.shape, generator=generator))
    model.save_pretrained(folder / "hf")
    tokens.save(str(folder / "hf" / "tokenizer.json"))
    convert_model(folder / "hf", folder / "model")
    return model.eval(), folder / "model"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    torch.manual_seed(SEED)
    model = transformers.CLIPModel(transformers.CLIPConfig())
    return saved(model, tmp_path_factory.mktemp("clip"), senses.clip_tokens())


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    torch.manual_seed(SEED)
    model = transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**WHISPER_TINY))
    return saved(model, tmp_path_factory.mktemp("whisper"), senses.whisper_tokens())


def pictures(count: int) -> list[np.ndarray]:
    """Noise of several scales, so that images have shapes in them."""
    rng = np.random.default_rng(SEED)
    made = []
    for _ in range(count):
        coarse = rng.integers(0, 256, (rng.integers(2, 40), rng.integers(2, 40), 3)).astype(np.uint8)
        size = (int(rng.integers(200, 500)), int(rng.integers(200, 500)))
        made.append(np.asarray(open_image(coarse).resize(size)))
    return made


def sounds(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(SEED)
    made = []
    for _ in range(count):
        time = np.arange(int(rng.integers(8000, 64000))) / 16000
        tones = sum(np.sin(2 * np.pi * rng.uniform(80, 4000) * time + rng.uniform(0, 6)) for _ in range(4))
        made.append((0.1 * tones * rng.uniform(0.2, 1) + rng.normal(0, 0.01, len(time))).astype(np.float32))
    return made


def features(found):
    """Of a reference that returns them bare or in an object, as its versions differ."""
    values = found if isinstance(found, torch.Tensor) else found.pooler_output
    return values.numpy()


def report(name: str, found: np.ndarray, expected: np.ndarray) -> float:
    least = float(senses.cosines(found, expected).min())
    print(f"{name}: smallest cosine {least:.7f}, largest error {np.abs(found - expected).max():.2e}")
    return least


def test_images(clip):
    model, path = clip
    engine = ArrowEngine(path)
    given = pictures(6)
    pixels = np.stack([engine.perception.pixels(one) for one in given])
    with torch.no_grad():
        expected = features(model.get_image_features(pixel_values=torch.from_numpy(pixels)))
    assert report("images", engine.encode_image(given, normalize=False), expected) >= 0.9999


def test_texts(clip):
    model, path = clip
    engine = ArrowEngine(path)
    texts = ["a photo of a cat", "x", "", "words " * 40]
    with torch.no_grad():
        expected = []
        for text in texts:
            ids = engine.tokenise(text)
            ids = ids if len(ids) <= 77 else [*ids[:76], ids[-1]]
            hidden = model.text_model(torch.tensor([ids])).last_hidden_state[:, -1]
            expected.append(model.text_projection(hidden)[0].numpy())
    assert report("texts", engine.encode(texts, normalize=False), np.array(expected)) >= 0.9999


def test_image_preparation():
    processor = transformers.CLIPImageProcessorPil if hasattr(transformers, "CLIPImageProcessorPil") else None
    if processor is None:
        processor = transformers.CLIPImageProcessor
    made = processor()
    for picture in pictures(4):
        image = open_image(picture)
        expected = np.asarray(made(image, return_tensors="np")["pixel_values"])[0]
        found = prepare_image(image, 224, 224, made.image_mean, made.image_std)
        print("largest difference of a value", np.abs(found - expected).max())
        assert np.abs(found - expected).max() < 1e-5


def test_spectrograms():
    extractor = transformers.WhisperFeatureExtractor()
    for sound in sounds(4):
        expected = extractor(sound, sampling_rate=16000, return_tensors="np")["input_features"][0].T
        found = log_mel(sound, 80, 3000, 480_000)
        print("largest difference of a value", np.abs(found - expected).max())
        assert np.abs(found - expected).max() < 2e-4


def test_thirty_seconds(whisper):
    model, path = whisper
    engine = ArrowEngine(path)
    sound = sounds(1)[0]
    frames = log_mel(sound, 80, 3000, 480_000)
    with torch.no_grad():
        expected = model.model.encoder(torch.from_numpy(frames.T[None].copy())).last_hidden_state[0].numpy()
    (window,) = engine.perception.windows(sound, 30.0)
    (states,) = engine.perception.sound_states([window])
    assert report("sound, 30 s", states, expected) >= 0.9999


def test_only_the_frames_that_are_there(whisper):
    """The reference with fewer positions reads the same frames."""
    model, path = whisper
    engine = ArrowEngine(path)
    for sound in sounds(3):
        (window,) = engine.perception.windows(sound, 1.0)
        config = transformers.WhisperConfig(**{**WHISPER_TINY, "max_source_positions": window.rows})
        shorter = transformers.models.whisper.modeling_whisper.WhisperEncoder(config).eval()
        state = model.model.encoder.state_dict()
        state["embed_positions.weight"] = state["embed_positions.weight"][: window.rows]
        shorter.load_state_dict(state)
        frames = log_mel(sound, 80, 2 * window.rows, window.longest)
        with torch.no_grad():
            expected = shorter(torch.from_numpy(frames.T[None].copy())).last_hidden_state[0].numpy()
        mean = expected[: window.heard].mean(axis=0)[None]
        assert report("sound", engine.encode_audio(sound, normalize=False), mean) >= 0.9999


def test_transcripts(whisper):
    model, path = whisper
    engine = ArrowEngine(path)
    writer = engine.transcriber
    (window,) = engine.perception.windows(sounds(1)[0], 30.0)
    (states,) = engine.perception.sound_states([window])
    prompt = [50258, 50259, 50359, 50363]
    found = writer.ids(states, prompt, 12)
    ids = list(prompt)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        seen = transformers.modeling_outputs.BaseModelOutput(last_hidden_state=torch.from_numpy(states[None]))
        for _ in range(12):
            logits = model(encoder_outputs=seen, decoder_input_ids=torch.tensor([ids])).logits[0, -1]
            ids.append(int(logits.argmax()))
    assert found == ids[4:]


@pytest.mark.parametrize("name", ["clip", "whisper"])
def test_int8(name, request, tmp_path):
    """Below the thresholds of the precision check nothing is written; here against the reference's model."""
    _, path = request.getfixturevalue(name)
    ArrowQuantizer().quantize(path, tmp_path / "int8")
    exact, engine = ArrowEngine(path), ArrowEngine(tmp_path / "int8")
    if name == "whisper":
        given = sounds(6)
        assert report("sound, int8", engine.encode_audio(given), exact.encode_audio(given)) >= 0.999
        return
    given, texts = pictures(8), ["a photo of a cat", "x", "", "words " * 40]
    assert report("images, int8", engine.encode_image(given), exact.encode_image(given)) >= 0.999
    assert report("texts, int8", engine.encode(texts), exact.encode(texts)) >= 0.999
