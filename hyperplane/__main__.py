"""`python -m hyperplane` and `torchrun -m hyperplane`: the command line."""

import sys

from hyperplane.cli import main

sys.exit(main())
