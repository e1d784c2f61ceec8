"""Networks, ports, and what may pass them."""
