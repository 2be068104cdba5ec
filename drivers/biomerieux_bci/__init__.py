"""bioMérieux mini VIDAS and VIDAS, which send their results over the BCI protocol."""
