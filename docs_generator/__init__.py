"""Reference pages written from the code: settings, errors, events and the OpenAPI document."""
