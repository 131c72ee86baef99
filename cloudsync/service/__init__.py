"""The centre's rules, one module per feature. They know the store and the files, and nothing of HTTP."""
