"""Ranks, measures and settings from one pass over the scores. No torch."""
