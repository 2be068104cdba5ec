"""The store that keeps its word: committed frames on disk until the platform has them."""
