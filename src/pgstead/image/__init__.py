"""A machine image with everything inside: a bootable qcow2 from the machine's own apt sources."""
