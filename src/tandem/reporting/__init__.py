"""The report: one page of what was measured, what it cost, and what each stage did to the data."""
