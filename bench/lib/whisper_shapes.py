"""Whisper models of OpenAI's shapes with random weights, for measurements of speed: a pass takes as long as with real
weights.

Only the decoder's output is fixed: at each position the position's own encoding outweighs everything else and points to
one token, so every decoder of the same model emits the same words with high confidence, and then ends.
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

#: The rate of fast English: an utterance of 5 s gets 20 tokens.
TOKENS_PER_S = 4

#: The tests' tiny Whisper has all special tokens of a multilingual one, in their order.
_TINY = Path(__file__).parents[2] / "tests" / "speech_models" / "tiny-whisper"

#: Whisper's sizes: mel bands, encoder positions and decoder positions.
_MELS = 80
_ENCODER_POSITIONS = 1500
_DECODER_POSITIONS = 448

#: Tokens of a multilingual Whisper, without the special ones and the empty text before them.
_TEXT_TOKENS = 50_256

#: Factor of a position's encoding over the token's embedding and over the layers' output.
_POSITION_WEIGHT = 10.0

#: The fixed token's logit. Those of the other tokens are about 0, with a deviation of 1.
_LOGIT = 24.0


@dataclass(frozen=True)
class Shape:
    """A size that OpenAI published. Encoder and decoder have the same."""

    width: int
    layers: int
    heads: int


SHAPES = {"tiny": Shape(384, 4, 6), "base": Shape(512, 6, 8), "small": Shape(768, 12, 12)}

Weights = NDArray[np.float32]


def make_whisper(directory: Path, shape: str, tokens: int) -> Path:
    """Write a model for faster-whisper below `directory` and return its path.

    It recognizes the same `tokens` words in any audio. The weights are float16, as in the models on the hub.
    """
    out = directory / f"{shape}-{tokens}"
    out.mkdir()
    names = _names()
    spec = _spec(SHAPES[shape], names, tokens)
    spec.register_vocabulary(names)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [names.index("Ġ"), names.index("<|endoftext|>")]
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
    """All tokens by number: the bytes, made-up words, the empty text, the special tokens."""
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
    rng = np.random.default_rng(7)
    width = shape.width
    encoder = spec.encoder
    decoder = spec.decoder
    encoder.conv1.weight = _random(rng, width, _MELS, 3)
    encoder.conv1.bias = np.zeros(width, np.float32)
    encoder.conv2.weight = _random(rng, width, width, 3)
    encoder.conv2.bias = np.zeros(width, np.float32)
    encoder.position_encodings.encodings = _random(rng, _ENCODER_POSITIONS, width)
    _set_norm(encoder.layer_norm, width)
    for layer in encoder.layer:
        _set_attention(layer.self_attention, rng, width, (3, 1))
        _set_feed_forward(layer.ffn, rng, width)
    for layer in decoder.layer:
        _set_attention(layer.self_attention, rng, width, (3, 1))
        _set_attention(layer.attention, rng, width, (1, 2, 1))
        _set_feed_forward(layer.ffn, rng, width)
    embeddings = rng.standard_normal((len(names), width), np.float32)
    decoder.embeddings.weight = decoder.projection.weight = embeddings
    decoder.position_encodings.encodings = _POSITION_WEIGHT * embeddings[_fixed_tokens(names, tokens)]
    _set_norm(decoder.layer_norm, width, _LOGIT / width)
    return spec


def _fixed_tokens(names: list[str], tokens: int) -> list[int]:
    """The token that follows each position: the language after the first, a timestamp after the third if timestamps are
    requested, the first word after the fourth in both cases. All words differ, since the library rejects repetitive
    text."""
    language, transcribe, timestamp = (names.index(name) for name in ("<|en|>", "<|transcribe|>", "<|0.00|>"))
    words = [names.index("Ġbababa") + 4_001 * number % 49_000 for number in range(tokens)]
    start = [language, transcribe, timestamp, *words]
    return start + [names.index("<|endoftext|>")] * (_DECODER_POSITIONS - len(start))


def _set_attention(spec: Any, rng: np.random.Generator, width: int, outputs: Sequence[int]) -> None:
    """`outputs` is the output size of each projection, as a multiple of `width`."""
    _set_norm(spec.layer_norm, width)
    for linear, widths in zip(spec.linear, outputs, strict=True):
        _set_linear(linear, rng, width, widths * width)


def _set_feed_forward(spec: Any, rng: np.random.Generator, width: int) -> None:
    _set_norm(spec.layer_norm, width)
    _set_linear(spec.linear_0, rng, width, 4 * width)
    _set_linear(spec.linear_1, rng, 4 * width, width)


def _set_linear(spec: Any, rng: np.random.Generator, inputs: int, outputs: int) -> None:
    spec.weight = _random(rng, outputs, inputs)
    spec.bias = np.zeros(outputs, np.float32)


def _set_norm(spec: Any, width: int, scale: float = 1.0) -> None:
    spec.gamma = np.full(width, scale, np.float32)
    spec.beta = np.zeros(width, np.float32)


def _random(rng: np.random.Generator, *shape: int) -> Weights:
    return 0.02 * rng.standard_normal(shape, np.float32)
