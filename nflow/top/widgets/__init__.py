"""What the monitor's screens are made of. Each draws lines of cells, and only those that have changed."""
