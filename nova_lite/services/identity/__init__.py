"""Who there is, what they may do, and what services there are."""
