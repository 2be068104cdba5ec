"""GE / Datex-Ohmeda patient monitors by the Datex-Ohmeda record interface (DRI)."""
