"""Texts and judgments: file formats, collections, parallel groups, benchmarks, downloads. No torch."""
