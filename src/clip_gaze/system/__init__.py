"""The machine: paths, atomic files, CPUs and memory, settings of other libraries.

May import errors alone.
"""
