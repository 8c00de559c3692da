"""``control@<domain>``: commands by mail, for people who have no other way to talk to the gateway itself."""
