"""Uses all the CPU it is given: a noisy neighbour, or ballast."""

while True:
    pass
