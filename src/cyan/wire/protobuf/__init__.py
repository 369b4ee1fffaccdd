"""A small strict reader and writer of protobuf's wire format.

Source: protobuf.dev/programming-guides/encoding. Only what the device protocol uses: varint,
fixed32, fixed64 and length-delimited fields. Messages are read field by field by their own codec,
so nesting goes as deep as that codec does and no deeper.
"""
