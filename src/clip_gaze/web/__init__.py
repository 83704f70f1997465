"""The local page and its API: server, guard, queue, forms, responses.

May import everything but cli.
"""
