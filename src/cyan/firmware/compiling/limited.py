"""Starts a program with limits: `limited.py SECONDS MEMORY FILE PROGRAM ARGUMENTS…`.

It is run by its path, in a Python of its own without anything else, and becomes the program: limits
set between fork and exec could deadlock a server with threads.
"""

import os
import resource
import sys

if __name__ == "__main__":
    seconds, memory, file_size = map(int, sys.argv[1:4])
    for limit, value in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_CORE, 0),
    ):
        _soft, hard = resource.getrlimit(limit)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (most, most))
    try:
        os.execvp(sys.argv[4], sys.argv[4:])  # noqa: S606
    except OSError as error:
        sys.exit(f"{sys.argv[4]} cannot be started: {error.strerror}")
