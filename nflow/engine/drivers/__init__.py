"""Drivers: each owns one log, of a run or a dag run, and carries out what its machine commands."""
