"""DTLS 1.2 as Device OS speaks it (device-protocol.md §1.4), both sides, sans-IO.

`record` protects single records, `server` and `client` are the two handshakes; the other modules
are their parts. One suite (ECDHE-ECDSA-AES128-CCM8, P-256), raw public keys, and connection ids of
draft-ietf-tls-dtls-connection-id-05, which firmware before 3.1 does without. Nothing here reads a
clock or makes random bytes.
"""
