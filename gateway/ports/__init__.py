"""The only place where input and output with devices happens."""
