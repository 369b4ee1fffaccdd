"""People, passwords, tokens and the OAuth clients they log in with."""
