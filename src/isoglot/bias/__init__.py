"""Language bias: what a multilingual ranking does to parallel passages. No torch."""

from isoglot.bias.rank_distance import summarize

__all__ = ["summarize"]
