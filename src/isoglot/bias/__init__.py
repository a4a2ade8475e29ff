"""Language bias: what a multilingual ranking does to parallel passages. No torch."""
