"""Cutting a text that comes whole. What a language model writes is cut by its worker, piece by piece."""

from shared.text.markdown_filter import MarkdownFilter, spoken
from shared.text.sentence_splitter import SentenceSplitter, split


def pieces_of(text: str, language: str) -> list[str]:
    """What of a text is to be said, piece by piece; never nothing."""
    prose, segmenter = MarkdownFilter(), SentenceSplitter(language)
    sentences = segmenter.push(prose.push(text) + prose.finish()) + segmenter.finish()
    # Where all of it is code or emoji, it is better spelled out than passed over.
    return [said for sentence in sentences if (said := spoken(sentence))] or split(text, language)
