"""Commands: one module each, but for `demo`, which is in `gaze`, and `download`, in `models`.

May import everything; nothing but `cli.main` imports them, by name and late.
"""
