"""The database: one writer thread with group commit, reads on the loop, numbered migrations."""
