"""Images, and what is known of their properties."""
