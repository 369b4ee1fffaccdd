"""What is measured, how, and against what: `make bench`, or `python -m bench [names]`."""
