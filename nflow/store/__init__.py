"""The data of a run that its tasks share, behind one port."""
