"""Nonin pulse oximeters: text lines and the binary formats DF2, DF7, DF8 and DF13."""
