"""Search: an index per language, and policies that merge what they find."""
