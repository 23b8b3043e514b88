"""What ``mlflow models serve`` runs: code that loads the weights which lie beside it."""
