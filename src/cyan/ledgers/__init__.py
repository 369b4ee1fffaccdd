"""Ledgers: JSON objects that devices and the cloud keep in step."""
