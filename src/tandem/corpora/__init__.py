"""Where documents come from: installed packages' docstrings, BEIR data sets, your own files."""
