"""Programs that tasks start: their streams, their process group, and how all of it ends when it has to.

It knows nothing of tasks and runs; a plugin may use it as `BashTask` does.
"""
