"""What the next round learns from this one: difficulty and preferences."""
