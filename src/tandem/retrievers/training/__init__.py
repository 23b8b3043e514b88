"""Training of retrievers: pairs to train on, rows of a batch, losses, the trainer, and the three who call it."""
