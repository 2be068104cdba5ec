"""The link to the platform: MQTT 5 over mutual TLS, fed from the spool alone."""
