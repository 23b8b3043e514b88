"""From a document to query text: prompts, supervised fine-tuning, sampling, reward model, PPO."""
