"""Plans: what an account may do and how much, asked in one place."""
