"""Language bias: what a multilingual ranking does to parallel passages. No torch."""

from isoglot.bias.summary import summarize

__all__ = ["summarize"]
