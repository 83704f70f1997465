"""The local page and its API: server, guard, queue, forms, answers.

May import everything but cli.
"""
