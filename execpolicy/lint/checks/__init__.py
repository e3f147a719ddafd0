"""The checks, one a file, one page of documentation each."""
