"""What people did: one row an action, written in the transaction of the action itself."""
