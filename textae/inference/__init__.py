"""What people do with a trained model: summarise a corpus, restore documents from summaries."""

from textae.inference.corpus import reconstruct_corpus, summarize_corpus

__all__ = ["reconstruct_corpus", "summarize_corpus"]
