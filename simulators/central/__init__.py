"""The reference centre: lab certification authority, broker, consumer."""
