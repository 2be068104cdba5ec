"""What devices say: pure protocol drivers. The ground floor; imports nothing else of Jisr."""
