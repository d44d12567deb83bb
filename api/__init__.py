"""The only HTTP server: uploads, status, audio, health."""
