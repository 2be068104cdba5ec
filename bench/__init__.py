"""`make bench`: the delivery figures of the design (section 10), measured in this tree on this machine."""
