"""The bridge: HTTP requests in, calls of deployments out."""
