"""Indexes of a corpus on disk: built once for its weights, opened by whoever searches."""
