"""Cyan, an open device cloud that people run themselves."""

__version__ = "0.1.0"
