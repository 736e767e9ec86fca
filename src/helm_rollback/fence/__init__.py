"""The proxy between Helm and the API server, through which a write passes only while it may."""
