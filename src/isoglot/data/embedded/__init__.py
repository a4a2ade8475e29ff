"""The embedded mini collection."""
