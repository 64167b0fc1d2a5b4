"""What runs in the container: shipped there as source, together with ``reachlab.sandbox.jail.inside``.

It imports the standard library and the jail's inside only, so that any image with Python 3.11 or newer will do.
"""
