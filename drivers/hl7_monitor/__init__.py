"""Results of patient monitors and their gateways as HL7 version 2 messages (ORU^R01) over MLLP."""
