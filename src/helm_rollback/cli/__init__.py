"""The command line: the server, and a client for people and scripts."""
