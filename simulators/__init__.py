"""The other sides: simulated devices, and a reference centre. They know nothing of drivers."""
