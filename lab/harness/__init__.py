"""The lab from Python, for system tests and benchmarks: servers in it, clients, captures."""
