"""Texts and judgments: formats, collections, parallel groups, benchmarks. No torch."""
