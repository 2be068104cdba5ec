"""GE Datex-Ohmeda anaesthesia machines that send Ohmeda Com 1.0."""
