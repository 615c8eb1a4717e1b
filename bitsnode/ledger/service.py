"""The chain as the rooms above use it."""
