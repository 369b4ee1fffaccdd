"""The command line: `cyan dev | serve | migrate | user | device | keys | sim`."""
