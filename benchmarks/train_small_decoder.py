"""Trains a small language model of Qwen2's architecture on text that every Python brings along.

    python benchmarks/train_small_decoder.py build/small-qwen2

makes a Hugging Face folder (config.json, model.safetensors, tokenizer.json) and two files beside the weights:
`training.txt`, what it learned, and `held_out.txt`, which neither it nor its tokenizer has seen; a text per
line. The texts are the reference of the language and the docstrings of the standard library. Equal seeds,
versions and thread counts make equal models. It may be interrupted: the same command goes on. Needs torch,
tokenizers and safetensors (`pip install 'arrowmind[train,test]'`).
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import re
import sysconfig
import time
import zlib
from pathlib import Path
from pydoc_data import topics
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional

from arrowmind.models.registry import build_model
from arrowmind.models.spec import Pooling
from arrowmind.observe import progress_bar
from arrowmind.quantize.distill.decoder_forward import forward, logits
from arrowmind.quantize.distill.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Iterator

END = "<|endoftext|>"
CONFIG: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 2048,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "use_sliding_window": False,
    "torch_dtype": "float32",
}
WORDS = 200  # of a text; longer ones are cut
HELD_OUT = 16  # every so-manieth text
WINDOW, WINDOWS = 256, 8
RATE, WARM_UP, DECAY = 3e-3, 50, 0.1
CHECKPOINT_SECONDS = 60
_LISTS = re.compile(r"[*=+|_~^-]{3,}")


def texts() -> list[str]:
    """Prose about Python, white space collapsed, each text once, sorted."""
    found: set[str] = set()
    for text in (*topics.topics.values(), *docstrings()):
        words = _LISTS.sub(" ", text).split()
        parts = (" ".join(words[at : at + WORDS]) for at in range(0, len(words), WORDS))
        found.update(part for part in parts if len(part) >= 100)
    return sorted(found)


def docstrings() -> Iterator[str]:
    """Those of the standard library, from its sources: nothing of it is run."""
    library = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(library.rglob("*.py")):
        parts = path.relative_to(library).parts
        if {"site-packages", "dist-packages", "test", "tests"} & set(parts) or "pydoc_data" in parts:
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield ast.get_docstring(node) or ""


def split(listed: list[str]) -> tuple[list[str], list[str]]:
    """Training and held-out texts, by a hash of each."""
    held = {text for text in listed if zlib.crc32(text.encode()) % HELD_OUT == 0}
    return [text for text in listed if text not in held], sorted(held)


def train_tokenizer(training: list[str]) -> Tokenizer:
    """Pieces of bytes, as those of Qwen2."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"],
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(training, trainer)
    return tokenizer


def fresh_weights() -> dict[str, Any]:
    """Normal, narrower where outputs join the stream."""
    hidden, inner, layers = (CONFIG[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    keys = hidden // CONFIG["num_attention_heads"] * CONFIG["num_key_value_heads"]
    out = 0.02 / math.sqrt(2 * layers)
    weights = {"model.embed_tokens.weight": torch.randn(CONFIG["vocab_size"], hidden) * 0.02}
    for layer in range(layers):
        block = f"model.layers.{layer}"
        for name, rows, columns, spread in (
            ("self_attn.q_proj", hidden, hidden, 0.02),
            ("self_attn.k_proj", keys, hidden, 0.02),
            ("self_attn.v_proj", keys, hidden, 0.02),
            ("self_attn.o_proj", hidden, hidden, out),
            ("mlp.gate_proj", inner, hidden, 0.02),
            ("mlp.up_proj", inner, hidden, 0.02),
            ("mlp.down_proj", hidden, inner, out),
        ):
            weights[f"{block}.{name}.weight"] = torch.randn(rows, columns) * spread
            if name[-6] in "qkv":
                weights[f"{block}.{name}.bias"] = torch.zeros(rows)
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[f"{block}.{name}.weight"] = torch.ones(hidden)
    weights["model.norm.weight"] = torch.ones(hidden)
    return {name: value.requires_grad_() for name, value in weights.items()}


class Training:
    """The weights and what trains them."""

    def __init__(self, steps: int) -> None:
        self.steps, self.weights = steps, fresh_weights()
        self.model: Any = build_model(CONFIG, list(self.weights), Pooling("mean"))
        matrices = [value for value in self.weights.values() if value.ndim == 2]
        vectors = [value for value in self.weights.values() if value.ndim == 1]
        groups = [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.95))

    def loss(self, ids: Any) -> Any:
        """Mean negative log likelihood of what follows each token, in nats."""
        states = forward(self.model, self.weights.__getitem__, ids[:, :-1])[-1]
        found = logits(self.model, self.weights.__getitem__, states)
        return functional.cross_entropy(found.flatten(0, 1), ids[:, 1:].flatten())

    def step(self, number: int, ids: Any) -> float:
        """One step; returns the loss before it."""
        falling = 0.5 * (1 + math.cos(math.pi * number / self.steps))
        for group in self.optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (number + 1) / WARM_UP) * max(0.02, falling)
        loss = self.loss(ids)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights.values(), 1.0)
        self.optimiser.step()
        return float(loss.detach())

    def save(self, path: Path, done: int) -> None:
        """A checkpoint, in place of the one before."""
        temporary = path.with_suffix(".writing")
        state = {"done": done, "steps": self.steps, "weights": self.weights}
        torch.save({**state, "optimiser": self.optimiser.state_dict()}, temporary)
        temporary.replace(path)

    def restore(self, path: Path) -> int:
        """Steps done of the checkpoint; 0 where there is none of this training."""
        if not path.exists():
            return 0
        state = torch.load(path, weights_only=True)
        if state["steps"] != self.steps:
            return 0
        with torch.no_grad():
            for name, value in state["weights"].items():
                self.weights[name].copy_(value)
        self.optimiser.load_state_dict(state["optimiser"])
        return int(state["done"])


def train(training: Training, windows: Windows, checkpoint: Path) -> None:
    """Trains from where the checkpoint stands; progress is drawn with rate and time left."""
    done, saved = training.restore(checkpoint), time.monotonic()
    with progress_bar() as progress:
        try:
            for number in range(done, training.steps):
                loss = training.step(number, torch.tensor(windows[number]))
                done = number + 1
                progress(done, training.steps, "training")
                if done % 100 == 0:
                    print(f"step {done} of {training.steps}: loss {loss:.3f}", flush=True)
                if time.monotonic() - saved > CHECKPOINT_SECONDS:
                    training.save(checkpoint, done)
                    saved = time.monotonic()
        except KeyboardInterrupt:
            training.save(checkpoint, done)
            raise


def perplexity(training: Training, held: list[list[int]]) -> float:
    """Of held-out texts, joined and cut into windows."""
    joined = [token for text in held for token in text]
    rows = torch.tensor(joined[: len(joined) // WINDOW * WINDOW]).view(-1, WINDOW)
    with torch.no_grad():
        losses = [float(training.loss(part)) * len(part) for part in rows.split(WINDOWS)]
    return math.exp(sum(losses) / len(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    torch.set_num_threads(given.threads)
    given.folder.mkdir(parents=True, exist_ok=True)
    learned, held_out = split(texts())
    tokenizer = train_tokenizer(learned)
    tokenised, held = (
        [[*encoding.ids, 0] for encoding in tokenizer.encode_batch(part)] for part in (learned, held_out)
    )
    training = Training(given.steps)
    count = sum(value.numel() for value in training.weights.values())
    tokens, others = (sum(map(len, part)) for part in (tokenised, held))
    print(f"{count} parameters; {tokens} tokens to learn, {others} held out", flush=True)
    windows = Windows(tokenised, length=WINDOW + 1, size=WINDOWS, seed=given.seed)
    begun = time.monotonic()
    checkpoint = given.folder / "checkpoint.pt"
    train(training, windows, checkpoint)
    print(f"perplexity of held-out texts {perplexity(training, held):.3f}, {time.monotonic() - begun:.0f} s")
    for name, part in (("training.txt", learned), ("held_out.txt", held_out)):
        (given.folder / name).write_text("\n".join(part) + "\n", encoding="utf-8")
    tokenizer.save(str(given.folder / "tokenizer.json"))
    (given.folder / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    save_file(
        {name: value.detach() for name, value in training.weights.items()}, given.folder / "model.safetensors"
    )
    checkpoint.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
