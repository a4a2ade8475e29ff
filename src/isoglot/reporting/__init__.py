"""Tables of results beside the published ones. No torch."""
