"""Secrets: values that people keep here for their integrations, and that nobody reads back."""
