"""`python -m cyan.sim`."""

import sys

from cyan.sim.options import parse
from cyan.sim.run import main

sys.exit(main(parse(sys.argv[1:])))
