"""What is wrong with a policy, beside its errors: one check a file."""
