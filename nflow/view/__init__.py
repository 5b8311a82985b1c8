"""What people see of runs: pure folds of events, the same for every screen, listing and history."""
