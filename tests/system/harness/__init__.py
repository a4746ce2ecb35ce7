"""What system tests stand on: a lab of network namespaces, servers in it, clients, captures."""
