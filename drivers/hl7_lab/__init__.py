"""Laboratory analyzers that send their results as HL7 version 2 messages over MLLP (or a serial line)."""
