"""Servers, and the hosts they are on."""
