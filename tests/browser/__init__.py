"""What a reader sees: the pages in a real browser."""
