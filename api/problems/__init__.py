"""Errors as `application/problem+json` (RFC 9457): the catalogue of them, and their responses."""
