"""Judgements and a run to measures, and whether a difference between two runs is more than chance."""
