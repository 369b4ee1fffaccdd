"""Health: the vital signs that devices send of themselves."""
