"""Devices: what and whose they are, which key proves them, what they said of themselves."""
