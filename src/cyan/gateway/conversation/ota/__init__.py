"""Sending a file to a device (device-protocol.md §5): `current.py` for devices that have the Hello
flag `OTA_V3`, `legacy.py` for all others.

Both are machines without sockets or clocks: what came and the time are handed in; what is to be
done comes back as a step, and chunks are taken from them one by one, as fast as the way allows.
"""
