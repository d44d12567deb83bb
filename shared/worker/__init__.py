"""The runtime that all three workers share."""
