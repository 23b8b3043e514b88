"""A language model as one thing: text to go on from, completions and log-likelihoods out; here or behind a server."""
