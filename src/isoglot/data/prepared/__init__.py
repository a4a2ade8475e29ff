"""Prepared data: texts, table and tokens on disk, made once and memory-mapped by every process."""
