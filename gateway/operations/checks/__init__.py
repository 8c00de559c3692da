"""What `doctor` looks at, a module for each group; what is special to a network is examined by its adapter."""
