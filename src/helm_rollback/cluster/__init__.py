"""Reading and watching Helm's release Secrets through the Kubernetes API."""
