"""The stages joined: what the command line and an experiment both run."""
