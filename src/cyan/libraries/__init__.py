"""Libraries: code for firmware, from the operator's folder and from people."""
