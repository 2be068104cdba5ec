"""The version of Jisr: said here only; the build reads it from here (pyproject.toml)."""

VERSION = "0.1.0"
