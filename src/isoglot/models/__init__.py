"""Encoders: loading any of them, building static ones."""
