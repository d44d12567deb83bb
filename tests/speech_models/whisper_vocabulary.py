"""The tiny Whisper's tokens, in the order of every multilingual Whisper.

The words of the closed set come first, then the empty text, then the special tokens. CTranslate2 relies on the order of
the special tokens, and treats a model as multilingual only if the empty text is present, whatever its number of tokens.
"""

import json

from closed_set import SENTENCES
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers.models.whisper.tokenization_whisper import LANGUAGES

LANGUAGE_TOKENS = [f"<|{code}|>" for code in list(LANGUAGES)[:99]]  # the hundredth, yue, came with large-v3
SPECIALS = [
    "<|endoftext|>",
    "<|startoftranscript|>",
    *LANGUAGE_TOKENS,
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
    *(f"<|{step * 0.02:.2f}|>" for step in range(1501)),
]


class Vocabulary:
    """A byte-level BPE with one token for each word of the closed set, which can spell anything else."""

    def __init__(self) -> None:
        """Train the tokenizer on the closed set."""
        bpe = Tokenizer(models.BPE())
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bpe.decoder = decoders.ByteLevel()
        letters = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=10_000, initial_alphabet=letters, show_progress=False)
        bpe.train_from_iterator([f" {text}" for texts in SENTENCES.values() for text in texts], trainer)
        self.words = bpe.get_vocab_size()
        self.empty = self.words
        self.rows = self.words + 1 + len(SPECIALS)

        # Only in the JSON can a token get a number that does not follow the previous one.
        definition = json.loads(bpe.to_str())
        definition["model"]["vocab"] |= {token: self.empty + 1 + i for i, token in enumerate(SPECIALS)}
        self.tokenizer = Tokenizer.from_str(json.dumps(definition))
        self.tokenizer.add_special_tokens(SPECIALS[: SPECIALS.index("<|notimestamps|>") + 1])

    def token_ids(self, sentence: str) -> list[int]:
        """The tokens of a sentence, with a leading space as in Whisper's output."""
        return self.tokenizer.encode(f" {sentence}").ids

    def special(self, name: str) -> int:
        """Return the number of a special token."""
        return self.empty + 1 + SPECIALS.index(f"<|{name}|>")

    def names(self) -> list[str]:
        """All tokens, by number."""
        names = {number: name for name, number in self.tokenizer.get_vocab().items()}
        return [names.get(number, "") for number in range(self.rows)]
