"""The tiny Whisper's tokens, numbered as in every multilingual Whisper.

The words of the closed set come first, the special tokens stand at their usual numbers, and the tokens between are
never used. While it is trained the model has one row for all of those; `whole` gives each its copy of it.
"""

import json

from closed_set import SENTENCES
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers.models.whisper.tokenization_whisper import LANGUAGES

SIZE = 51_865
UNUSED = "<|unused|>"

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
FIRST_SPECIAL = SIZE - len(SPECIALS)


class Vocabulary:
    """A byte-level BPE with one token for each word of the closed set, which can spell anything else."""

    def __init__(self) -> None:
        """Learn the words."""
        bpe = Tokenizer(models.BPE())
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bpe.decoder = decoders.ByteLevel()
        letters = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=FIRST_SPECIAL, initial_alphabet=letters, show_progress=False)
        bpe.train_from_iterator([f" {text}" for texts in SENTENCES.values() for text in texts], trainer)
        self.words = bpe.get_vocab_size()
        self.unused = self.words
        self.rows = self.words + 1 + len(SPECIALS)

        # Only here can a token be given a number that does not follow on the last.
        plan = json.loads(bpe.to_str())
        plan["model"]["vocab"] |= {token: FIRST_SPECIAL + i for i, token in enumerate(SPECIALS)}
        self.tokenizer = Tokenizer.from_str(json.dumps(plan))
        self.tokenizer.add_special_tokens(SPECIALS[: SPECIALS.index("<|notimestamps|>") + 1])

    def say(self, sentence: str) -> list[int]:
        """The tokens of a sentence; as Whisper writes it, a blank stands before each."""
        return self.tokenizer.encode(f" {sentence}").ids

    def special(self, name: str) -> int:
        """The training row of a special token."""
        return self.unused + 1 + SPECIALS.index(f"<|{name}|>")

    def whole(self) -> list[int]:
        """The training row of each of the 51,865 tokens."""
        between = [self.unused] * (FIRST_SPECIAL - self.words)
        return [*range(self.words), *between, *range(self.unused + 1, self.rows)]

    def names(self) -> list[str]:
        """The 51,865 tokens."""
        names = {number: name for name, number in self.tokenizer.get_vocab().items()}
        # CTranslate2 takes a model for a multilingual one only if one of its tokens is the empty text.
        names[self.unused] = ""
        return [names.get(number, UNUSED) for number in range(SIZE)]
