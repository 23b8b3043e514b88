"""The champion as a service over HTTP."""
