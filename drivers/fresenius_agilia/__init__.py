"""Fresenius Kabi Agilia and Orchestra infusion pumps behind a Base A."""
