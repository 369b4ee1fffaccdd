"""What we answer: a module for each matter. A step takes a session and a message and returns
effects; it may call the platform, never a socket or a clock."""
