"""Which pseudo queries stay."""
