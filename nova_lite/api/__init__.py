"""The HTTP APIs that clients know: a facade each, and what all facades are made with."""

FACADES = ("identity", "image", "compute", "network", "placement")
