"""Bytes to values and back, sans-IO: no sockets, no clock, no randomness of its own.

Time and random bytes are arguments. Imports nothing else of ours.
"""
