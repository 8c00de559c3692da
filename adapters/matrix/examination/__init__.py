"""What `doctor` asks the homeserver: whether it knows us, reaches us, and keeps our users' names for us."""
