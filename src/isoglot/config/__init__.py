"""Configuration: strict YAML loading and the schemas of every command."""
