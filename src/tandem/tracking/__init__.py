"""Records of executions, and the MLflow runs, models and registry that are made from them."""
