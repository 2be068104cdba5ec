"""The `jisr` command, as technicians, field installers and platform engineers use it."""
