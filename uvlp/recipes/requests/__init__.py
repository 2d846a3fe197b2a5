"""What a user asks for, in one type, from the command line, a config file or Python."""
