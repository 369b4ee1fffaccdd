"""The checks of `cyan doctor`: a module for each group of them, each check a function that looks at
one thing of an installation and tells what it found."""
