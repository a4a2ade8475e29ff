"""Losses and the trainer that feeds planned batches to sentence-transformers."""
