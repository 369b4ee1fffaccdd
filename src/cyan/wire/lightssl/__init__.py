"""The TCP transport of Core, Photon and P1 (device-protocol.md §1.3), both sides, sans-IO.

`handshake` agrees on a session by RSA, `frames` cuts and protects the stream after it. An eldest
design: no forward secrecy, and no integrity of frames beyond that their padding is right. It is
there because the boards that speak it speak nothing else.
"""
