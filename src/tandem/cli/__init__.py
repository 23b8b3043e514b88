"""What a person types that is no stage: one file a command."""
