"""Planned batches to model inputs: whose rows, which tokens, in which parts."""
