"""Bytes to records and back: JSONL, BEIR folders, document files, LLaMA-Factory data sets."""
