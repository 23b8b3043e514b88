"""What a run amounts to, on one page: what was measured, what it cost, and what each stage did to the data."""
