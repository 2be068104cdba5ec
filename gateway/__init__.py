"""The agent: from a device's port through driver and spool to the platform."""
