"""Sysmex KX-21 and KX-21N, which send each sample as text of fixed columns."""
