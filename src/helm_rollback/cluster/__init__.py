"""A Kubernetes cluster's release records: read, watched, and written under guard."""
