"""Proto messages to the domain's values and back: total, pure, by name."""
