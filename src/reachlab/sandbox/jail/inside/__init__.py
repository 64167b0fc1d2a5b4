"""What runs on the other side of the fence: the zygote, the supervisors and the untrusted children they fork.

Started by exec, apart from the library, so nothing here may import reachlab or anything outside the standard library.
"""
