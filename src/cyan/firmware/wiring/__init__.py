"""Reads Wiring sources (.ino, .cpp, .h): what the application declares, without running it.

`reader` gives the image of the simulated platform; the way there is `lexer` (characters to tokens),
`preprocessor` (directives), `declarations` (functions and variables of a file), `statements` (the
body of a function), `expressions` (what can be known of a value), `walk` (what setup() and loop()
do), `handlers` (what functions return).
"""
