"""Uses all the CPU it is given: the noisy neighbour."""

while True:
    pass
