"""Where documents come from: installed packages' docstrings, BEIR data sets, files of JSON lines, CSV or text."""
