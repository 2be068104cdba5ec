"""Philips IntelliVue data export."""
