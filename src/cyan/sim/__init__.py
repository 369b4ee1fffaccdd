"""The fleet simulator: the device's side of `wire`, always a process of its own.

`device` is one simulated device, sans-IO: it behaves as the Device OS of its generation does
(device-protocol.md §9.1, session-behaviour.md). `application` is what runs on it, as a `behaviour`
says; `field` puts what goes wrong around it. `fleet` gives thousands of them sockets, time and a
journal in one event loop; `run` is the program. What any of them does comes from a seed (`chance`).
"""
