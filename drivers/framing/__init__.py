"""Framing that several protocols share: checksums and block links."""
