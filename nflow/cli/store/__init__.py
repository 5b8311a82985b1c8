"""`nflow store`: the data of one run, looked at and changed."""
