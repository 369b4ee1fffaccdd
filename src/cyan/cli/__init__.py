"""The command line: `cyan dev | serve | upgrade | backup | restore | user | device | …`."""
