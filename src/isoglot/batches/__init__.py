"""The plan of training batches: pure functions of (seed, index). No torch."""
