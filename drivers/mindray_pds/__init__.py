"""Mindray patient monitors over PDS: HL7 2.3.1 on TCP port 4601."""
