"""HTTP connections: uvicorn's protocol, with limits on what one client may cost."""
