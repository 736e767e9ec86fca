"""What only Helm's command line knows: its arguments, its process, its records, its error texts."""
