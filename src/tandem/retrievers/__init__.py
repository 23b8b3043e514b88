"""From queries to a run over a corpus: BM25, dense and late-interaction (ColBERT) retrieval, and their training."""
