"""The web console: pages over the same services and doors as the API."""
