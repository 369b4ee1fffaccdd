"""The fleet simulator: the device's side of `wire`, always a process of its own.

`device` is one simulated device, sans-IO; `fleet` gives thousands of them sockets, time and a
journal in one event loop; `run` is the program. It behaves as Device OS 6.2 does over UDP
(device-protocol.md §9.1, session-behaviour.md).
"""
