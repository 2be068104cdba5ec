"""Contec CMS50 pulse oximeters: the five-byte format, and the packets of protocol V7.0."""
