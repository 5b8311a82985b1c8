"""The command line: a file for each noun; nothing here that a Python program could not do through `nflow.client`."""
