"""Firmware over the air: images, binaries, compilers, and the truth about updates."""
