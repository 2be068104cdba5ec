"""B.Braun Space and Compact plus infusion pumps over BCC."""
