"""The command line: a file or a folder for each noun.

Nothing is here that a Python program could not do through `nflow.Client`.
"""
