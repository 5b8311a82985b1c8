"""The inside of a slot: the child process in which users' code runs, and all that it sees of its run.

It knows its pipe, and nothing of what is behind it: no bus, no settings, no credentials.
"""
