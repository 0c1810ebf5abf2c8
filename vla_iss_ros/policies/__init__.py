"""What is explained: the protocol, the loader and one file a family of policies."""
