"""What `doctor` asks the XMPP server and the DNS about the component."""
