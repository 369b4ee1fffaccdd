"""Calls to a device that is connected: functions, variables, ping, signal."""
