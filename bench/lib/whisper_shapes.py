"""Whisper models of true shapes with random weights, for speed: what they compute takes as long as with real weights.

Only what the decoder says is arranged: at each position the position's own encoding outweighs all else and points to
one token, so that every decoder that is handed the same model says the same words, is sure of them, and ends by itself.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import WhisperSpec
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

#: What fast English has: an utterance of 5 s is given 20 tokens.
TOKENS_PER_S = 4

#: The tests' tiny Whisper has all special tokens of a multilingual one, in their order.
_TINY = Path(__file__).parents[2] / "tests" / "speech_models" / "tiny-whisper"

_MELS, _POSITIONS_IN, _POSITIONS_OUT = 80, 1500, 448

#: Tokens of a multilingual Whisper, special ones and the empty text before them left out.
_TEXT_TOKENS = 50_256

#: How much a position outweighs the token that stands there, and what the layers add.
_OUTWEIGHS = 10.0

#: The chosen token's logit. The other tokens' lie about 0, with a deviation of 1.
_LOGIT = 24.0


@dataclass(frozen=True)
class Shape:
    """As OpenAI published it. Encoder and decoder are alike."""

    width: int
    layers: int
    heads: int


SHAPES = {"tiny": Shape(384, 4, 6), "base": Shape(512, 6, 8), "small": Shape(768, 12, 12)}

Weights = NDArray[np.float32]


def make_whisper(directory: Path, shape: str, tokens: int) -> Path:
    """A model in `directory`, as faster-whisper loads it, that hears so many words in whatever it is played; its path.

    The file holds float16, as those on the hub do.
    """
    out = directory / f"{shape}-{tokens}"
    out.mkdir()
    names = _names()
    spec = _spec(SHAPES[shape], names, tokens)
    spec.register_vocabulary(names)
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], [names.index("Ġ"), names.index("<|endoftext|>")]
    first = names.index("<|startoftranscript|>") + 1
    spec.config.lang_ids = list(range(first, names.index("<|translate|>")))
    spec.config.alignment_heads = [[0, 0]]
    spec.validate()
    spec.optimize(quantization="float16")
    spec.save(str(out))
    _tokenizer(names).save(str(out / "tokenizer.json"))
    (out / "preprocessor_config.json").write_text((_TINY / "preprocessor_config.json").read_text())
    return out


def _names() -> list[str]:
    """Every token by its number: the bytes, made-up words, the empty text, the special tokens."""
    vocabulary = json.loads((_TINY / "vocabulary.json").read_text())
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    syllables = [consonant + vowel for consonant, vowel in product("bdfghjklmnprstvwz", "aeiou")]
    words = ("Ġ" + "".join(word) for word in product(syllables, repeat=3))
    special = vocabulary[vocabulary.index("<|endoftext|>") :]
    return [*letters, *islice(words, _TEXT_TOKENS - len(letters)), "", *special]


def _tokenizer(names: list[str]) -> Tokenizer:
    vocabulary = {name: number for number, name in enumerate(names) if name}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(names[names.index("<|endoftext|>") : names.index("<|notimestamps|>") + 1])
    return tokenizer


def _spec(shape: Shape, names: list[str], tokens: int) -> Any:
    spec: Any = WhisperSpec(shape.layers, shape.heads, shape.layers, shape.heads)
    chance = np.random.default_rng(7)
    width, coder, decoder = shape.width, spec.encoder, spec.decoder
    coder.conv1.weight, coder.conv1.bias = _random(chance, width, _MELS, 3), np.zeros(width, np.float32)
    coder.conv2.weight, coder.conv2.bias = _random(chance, width, width, 3), np.zeros(width, np.float32)
    coder.position_encodings.encodings = _random(chance, _POSITIONS_IN, width)
    _set_norm(coder.layer_norm, width)
    for layer in coder.layer:
        _set_attention(layer.self_attention, chance, width, (3, 1))
        _set_feed_forward(layer.ffn, chance, width)
    for layer in decoder.layer:
        _set_attention(layer.self_attention, chance, width, (3, 1))
        _set_attention(layer.attention, chance, width, (1, 2, 1))
        _set_feed_forward(layer.ffn, chance, width)
    embeddings = chance.standard_normal((len(names), width), np.float32)
    decoder.embeddings.weight = decoder.projection.weight = embeddings
    decoder.position_encodings.encodings = _OUTWEIGHS * embeddings[_said(names, tokens)]
    _set_norm(decoder.layer_norm, width, _LOGIT / width)
    return spec


def _said(names: list[str], tokens: int) -> list[int]:
    """The token that follows on each position: the language on the first, on the third a time where times are asked
    for, on the fourth the first word with times as without. A different word each time, since text that repeats itself
    is doubted."""
    language, transcribe, time = (names.index(name) for name in ("<|en|>", "<|transcribe|>", "<|0.00|>"))
    words = [names.index("Ġbababa") + 4_001 * number % 49_000 for number in range(tokens)]
    said = [language, transcribe, time, *words]
    return said + [names.index("<|endoftext|>")] * (_POSITIONS_OUT - len(said))


def _set_attention(spec: Any, chance: np.random.Generator, width: int, outputs: Sequence[int]) -> None:
    """`outputs` are those of each projection, in widths."""
    _set_norm(spec.layer_norm, width)
    for linear, widths in zip(spec.linear, outputs, strict=True):
        _set_linear(linear, chance, width, widths * width)


def _set_feed_forward(spec: Any, chance: np.random.Generator, width: int) -> None:
    _set_norm(spec.layer_norm, width)
    _set_linear(spec.linear_0, chance, width, 4 * width)
    _set_linear(spec.linear_1, chance, 4 * width, width)


def _set_linear(spec: Any, chance: np.random.Generator, inputs: int, outputs: int) -> None:
    spec.weight, spec.bias = _random(chance, outputs, inputs), np.zeros(outputs, np.float32)


def _set_norm(spec: Any, width: int, scale: float = 1.0) -> None:
    spec.gamma, spec.beta = np.full(width, scale, np.float32), np.zeros(width, np.float32)


def _random(chance: np.random.Generator, *shape: int) -> Weights:
    return 0.02 * chance.standard_normal(shape, np.float32)
