"""Rerankers: a run in, a rescored run out."""
