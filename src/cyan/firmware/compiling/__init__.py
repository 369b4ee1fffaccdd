"""Cloud compile: sources in, a module out. Which compilers there are is the operator's choice."""
