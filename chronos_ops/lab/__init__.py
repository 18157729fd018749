"""A target on this machine: real hosts (systemd-nspawn), and the AWS services they need."""
