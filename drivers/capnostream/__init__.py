"""Oridion Capnostream 20 capnograph and pulse oximeter."""
