"""Laboratory analyzers that send ASTM E1394 / CLSI LIS02-A2 records over the E1381 / LIS1-A link."""
