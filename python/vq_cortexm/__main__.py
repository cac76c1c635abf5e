"""`python -m vq_cortexm`: the command `vq-cortexm`."""

from .cli import main

main()
