"""Small tokenizers of the kinds that generating models have."""

from __future__ import annotations

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

TEXTS = ["the cat sat on the mat", "a dog ran", "caf\u00e9 \u65e5\u672c \U0001f600", "x = {1: 'a'}\n\tend"]
SPECIAL = "<|end|>"


def byte_level():
    """As GPT-2, Llama 3 and Qwen: each byte a token, some merges, a special and a plain added token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: index for index, character in enumerate(alphabet)}
    merges = [("t", "h"), ("th", "e"), ("\u0120", "the"), ("c", "a"), ("\u0120", "ca"), ("\u00c3", "\u00a9")]
    for left, right in merges:
        vocabulary[left + right] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(SPECIAL, special=True)])
    tokenizer.add_tokens(["<tool call>", "\u00e9\u00e9\u65e5"])
    return tokenizer


def sentence_piece(*, strip=True):
    """As Llama 2 and Mistral (with `strip`) or Gemma: U+2581 for spaces, bytes as `<0x41>`."""
    words = [
        "\u2581the",
        "\u2581cat",
        "\u2581",
        "\u2581\u2581",
        "s",
        "at",
        "a",
        "\u00e9",
        "\u65e5",
        "<0x>",
        "e",
    ]
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    tokenizer = Tokenizer(
        models.BPE(
            {name: index for index, name in enumerate(names)}, [], unk_token="<unk>", byte_fallback=True
        )
    )
    steps = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if strip else steps)
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in names[:3]])
    return tokenizer


def metaspace(scheme="always"):
    """As T5 and older SentencePiece conversions: a Metaspace decoder."""
    words = ["<unk>", "\u2581the", "\u2581cat", "\u2581", "\u2581\u2581a", "s", "a\u2581b", "\u00e9"]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, "<unk>"))
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
    return tokenizer


KINDS = {
    "byte level": byte_level,
    "sentence piece": sentence_piece,
    "sentence piece without strip": lambda: sentence_piece(strip=False),
    "metaspace": metaspace,
    "metaspace first": lambda: metaspace("first"),
    "metaspace never": lambda: metaspace("never"),
}
