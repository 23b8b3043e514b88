"""Tandem: a query generator and a neural retriever that train each other on your corpus."""

__version__ = "0.1.0"
