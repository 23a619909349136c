"""One run at a time on a host: of this controller by the kernel, of all controllers by leases on the hosts."""
