"""Which prompt an encoder puts before a text, as its own methods choose it."""

from __future__ import annotations

from sentence_transformers import SentenceTransformer

__all__ = ["other_prompt", "passage_prompt", "query_prompt"]


def query_prompt(model: SentenceTransformer) -> str:
    """Return what ``encode_query`` puts before a text."""
    return _first(model, "query")


def passage_prompt(model: SentenceTransformer) -> str:
    """Return what ``encode_document`` puts before a text."""
    return _first(model, "document", "passage", "corpus")


def other_prompt(model: SentenceTransformer) -> str:
    """Return what ``encode`` puts before a text."""
    return _first(model)


def _first(model: SentenceTransformer, *names: str) -> str:
    """Return the first prompt there is, else the default one; an empty one is one."""
    names = (*names, model.default_prompt_name or "")
    return next((model.prompts[name] or "" for name in names if name in model.prompts), "")
